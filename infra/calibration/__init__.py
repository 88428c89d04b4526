"""Calibration data: which rows a model sees while it is quantized, exactly and repeatably.

Rounding is learned on these samples, so they are part of the release: a set that silently
shrinks, changes or repeats itself changes the model.  Hence every count here is exact, every
broken row is an error unless asked otherwise, and a report says what was read and what was left.

    spec     what is asked for               known          sets with a short name: data
    catalog  a name or path to a spec        local, hub     where the rows come from
    rows     a random-access set of rows     outcome        samples, or a reason why not
    text     documents to samples            conversations  image + chat rows to samples
    images   picture files, checked          collect        the loop that draws `nsamples`
    sample   samples and their one file      report         what a set is made of
"""
