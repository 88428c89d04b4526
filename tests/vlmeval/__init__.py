"""Our rules against VLMEvalKit's own functions, in a process and environment of their own."""
