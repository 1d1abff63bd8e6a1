/* The inputs of flags.c, in either precision. */

/* 1 - e^-x and the like, e^-x being denormal; the slope of sigmoid alone is as small. */
static void FM(call_upper)(const table *fm, size_t n)
{
    for (int kind = 0; kind < FM_UNARY_KINDS; kind++) {
        CALL(unary_run, kind, kind, room.y, room.x, n, 1, 1e4, 0);
        if (kind != FM_SIGMOID)
            CALL(unary_backward_run, kind, kind, room.z, room.g, room.x, n, 1, 1e4, 0);
    }
}

static void FM(call_cases)(const table *fm)
{
    for (size_t n = 1; n <= 67; n++) {
        FM(fill)(0);
        FM(call_family)(fm, n), FM(call_unary)(fm, n), FM(call_norms)(fm, n), FM(call_products)(fm, n);
        FM(call_others)(fm, n);
        FM(fill)(sizeof(real) == 4 ? 95 : 720);
        FM(call_upper)(fm, n);
        const real masked[] = {-INFINITY, (real)-1e30, -3000};
        for (int i = 0; i < 3; i++)
            FM(fill)(masked[i]), FM(call_family)(fm, n);
        const real constant[] = {3000, -3000, (real)1e30, (real)-1e30};
        for (int i = 0; i < 4; i++) /* where the functions are constant */
            FM(fill)(constant[i]), FM(call_unary)(fm, n);
    }
}
