/* Prints the targets that this processor runs: as src_c/dispatch.c finds out, and as the compiler's library does. */
#include "dispatch.h"

#include <stdio.h>

const fm_target fm_target_v4, fm_target_v3, fm_target_baseline;

int main(void)
{
    const int v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    const int v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    for (const fm_choice *choice = fm_choices; choice->name; choice++)
        if (choice->runs())
            printf("%s ", choice->name);
    printf("= %s%sbaseline \n", v4 ? "v4 " : "", v3 ? "v3 " : "");
    return 0;
}
