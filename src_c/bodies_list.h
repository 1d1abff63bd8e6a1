/* The bodies, in an order in which the static helpers of one are known to the next. */
#include "reduce.c"
#include "softmax.c"
#include "random.c"
#include "norm.c"
#include "gemm.c"
#include "activation.c"
#include "update.c"
#include "cross_entropy.c"
