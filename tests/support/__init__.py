"""What tests share: tiny inputs that are real, and stand-ins that speak the real protocol."""
