"""Every name that programs take out of AMLRO's modules by a star, with np, pd and os, which come along."""

# ruff: noqa: F401
import os

import numpy as np
import pandas as pd

from labqueue_amlro.const import *
from labqueue_amlro.helpers import (
    categorical_feature_decoding,
    categorical_feature_encoding,
    get_next_training_conditions,
    get_regressor_model,
    identify_pareto_front,
    is_pareto_dominant,
    load_data,
    load_training_conditions,
    mo_model_training,
    model_training,
    predict_next_parameters,
    validate_optimizer_config,
    validate_reaction_scope_config,
    write_data_to_training_files,
    write_training_data,
)
from labqueue_amlro.optimizing import get_optimized_parameters
from labqueue_amlro.scoping import get_reaction_scope
from labqueue_amlro.training import generate_training_data
