"""What a step of Adam, Lion, RMSprop and Adagrad comes to, for the kernels of a compiled step."""

from libc.stdint cimport int64_t

cdef struct Adam:
    double rate       # lr / (1 - beta1^step)
    double weight1    # 1 - beta1
    double beta2
    double weight2    # 1 - beta2
    double inv_root   # 1 / sqrt(1 - beta2^step)
    double eps
    double decay      # coupled; 0 where it is decoupled
    double keep       # 1 - lr weight_decay where it is decoupled, else 1
    double sign

cdef struct Lion:
    double lr
    double weight1    # 1 - beta1
    double weight2    # 1 - beta2
    double keep       # 1 - lr weight_decay
    double sign

cdef struct Rms:
    double rate
    double keep       # of the mean square; 1 where squares are summed
    double weight     # 1 - keep, or 1
    double eps
    double decay
    double momentum
    double sign
    int64_t centered
