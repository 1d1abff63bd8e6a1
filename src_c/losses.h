/* What losses.c and its callers share. */
#ifndef FM_LOSSES_H
#define FM_LOSSES_H

/* Elements of a block: an array's loss is the sum of loss_run over its blocks, counted from the array's start, added
 * in order. Whoever cuts there gets the same bits. */
#define FM_LOSS_BLOCK 4096
/* A table of `period` numbers has this many more, which begin it again. */
#define FM_LOSS_PADDING 16

/* The losses of loss_run, and how many there are. */
enum {
    FM_LOSS_MSE,
    FM_LOSS_L1,
    FM_LOSS_HUBER,
    FM_LOSS_LOG_COSH,
    FM_LOSS_BCE,
    FM_LOSS_KL,
    FM_LOSS_KL_LOG,
    FM_LOSS_KINDS
};

#endif
