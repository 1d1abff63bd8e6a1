#define FM_TARGET fm_target_v3
#include "bodies.h"
