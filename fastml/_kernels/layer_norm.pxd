"""How layer normalisation cuts the sums of its gradient, so that a training step cuts them alike."""

cdef enum:
    BLOCK_ROWS = 32    # of a block of the gradient
    CHUNKS = 64        # at most: blocks are joined in chunks of equally many
