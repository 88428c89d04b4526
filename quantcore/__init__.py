"""The numeric engine: grids, SignRound, blocks, chains, packing.  It needs torch and nothing else.

Read `grid` (what a code is), then `signround` (what is learned), then `block` (how a block is
learned and judged).  `packing` turns codes into a checkpoint's words.
"""

# Part of every fingerprint: raise it when the same inputs would give other codes.
ENGINE_VERSION = "1"
