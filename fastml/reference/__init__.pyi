# The types are those of the functions that these are the reference of.
from ..metrics.distances import *
from ..ops.activations import *
from ..ops.activations_smooth import *
from ..ops.adagrad import *
from ..ops.adam import *
from ..ops.batch_norm import *
from ..ops.clip import *
from ..ops.cross_entropy import *
from ..ops.dropout import *
from ..ops.ema import *
from ..ops.group_norm import *
from ..ops.layer_norm import *
from ..ops.linear import *
from ..ops.linear_cross_entropy import *
from ..ops.lion import *
from ..ops.losses import *
from ..ops.nll_loss import *
from ..ops.norm_stats import (
    batch_norm_apply as batch_norm_apply,
)
from ..ops.norm_stats import (
    batch_norm_backward_apply as batch_norm_backward_apply,
)
from ..ops.norm_stats import (
    batch_norm_backward_stats as batch_norm_backward_stats,
)
from ..ops.norm_stats import (
    batch_norm_stats as batch_norm_stats,
)
from ..ops.one_hot import *
from ..ops.rms_norm import *
from ..ops.rmsprop import *
from ..ops.sgd import *
from ..ops.softmax import *
