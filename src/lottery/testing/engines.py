"""The conformance suite of engines: plain functions that raise AssertionError.

Two things that the checks rely on go beyond `lottery.training.Engine`. Epoch e visits the examples
in the order ``torch.randperm`` draws from the job's stream ``("order", e)``, so that engines can
stand in for one another. And a checkpoint holds weights, and optimizer state that goes with them
one to one, in the weights' own shapes, under any name.

An engine need not hold pruned weights at values other than zero, nor change masks in training. One
that does not refuses a config whose ``pruned`` or ``mask_updates`` says so, and fails when it gets
such a job.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lottery.testing import (
    engine_curves,
    engine_data,
    engine_dropout,
    engine_dropped,
    engine_held,
    engine_learned,
    engine_masks,
    engine_models,
    engine_monitors,
    engine_networks,
    engine_repeats,
    engine_settings,
    engine_shapes,
    engine_steps,
    engine_updates,
)
from lottery.training import Engine

EngineCheck = Callable[[Engine], None]
"""A check of an engine; raises AssertionError when something is not as it should be."""

ENGINE_CHECKS: Final[tuple[EngineCheck, ...]] = (
    engine_masks.check_pruned_weights_are_zero,
    engine_masks.check_gradients_of_pruned_weights_are_zero,
    engine_masks.check_very_sparse_masks,
    engine_masks.check_start_weights_are_bit_equal,
    engine_masks.check_start_may_be_masked_or_not,
    engine_masks.check_inputs_are_not_changed,
    engine_masks.check_results_share_no_memory,
    engine_masks.check_states_fit_an_ordinary_model,
    engine_held.check_pruned_weights_are_held,
    engine_held.check_held_weights_take_part,
    engine_held.check_held_weights_resume,
    engine_learned.check_learned_masks,
    engine_learned.check_learned_masks_have_their_stream,
    engine_learned.check_learned_masks_resume,
    engine_learned.check_notes,
    engine_curves.check_curve_is_complete,
    engine_curves.check_curve_measures_the_network,
    engine_curves.check_early_stop,
    engine_curves.check_snapshots,
    engine_curves.check_measuring_changes_nothing,
    engine_curves.check_monitor_sees_every_step,
    engine_curves.check_result_is_labelled,
    engine_curves.check_splits_of_any_size,
    engine_monitors.check_steps_at_once_change_nothing,
    engine_monitors.check_monitor_is_called_in_time,
    engine_monitors.check_monitors_of_a_group,
    engine_monitors.check_preemption_between_steps,
    engine_repeats.check_same_twice,
    engine_repeats.check_streams_decide_the_order,
    engine_repeats.check_alone_or_in_a_group,
    engine_repeats.check_global_randomness,
    engine_repeats.check_resume,
    engine_repeats.check_resume_past_early_stop,
    engine_repeats.check_resume_after_a_late_start,
    engine_repeats.check_resume_of_a_divergence,
    engine_repeats.check_resume_in_a_group,
    engine_repeats.check_preemption,
    engine_repeats.check_late_start_continues,
    engine_steps.check_follows_the_plain_loop,
    engine_steps.check_kept_weights_train_whatever_their_value,
    engine_steps.check_follows_the_learning_rate,
    engine_steps.check_last_batch_is_used,
    engine_steps.check_batch_larger_than_the_data,
    engine_steps.check_precision_follows_the_start,
    engine_steps.check_divergence,
    engine_steps.check_divergence_by_one_example,
    engine_steps.check_divergence_spares_the_group,
    engine_settings.check_settings_are_kept_to_or_refused,
    engine_settings.check_settings_keep_the_mask,
    engine_settings.check_settings_resume,
    engine_updates.check_mask_updates_are_kept_to_or_refused,
    engine_updates.check_mask_updates_keep_counts,
    engine_updates.check_mask_updates_keep_the_mask,
    engine_updates.check_mask_updates_follow_the_plain_loop,
    engine_updates.check_mask_updates_resume,
    engine_updates.check_gradual_early_stop,
    engine_networks.check_tanh,
    engine_networks.check_squared_error,
    engine_networks.check_tanh_and_squared_error,
    engine_networks.check_no_hidden_layer,
    engine_networks.check_layers_of_any_width,
    engine_shapes.check_batches_of_any_size,
    engine_shapes.check_large_splits,
    engine_shapes.check_backgrounds,
    engine_shapes.check_cut_off_units,
    engine_shapes.check_densities,
    engine_data.check_images_of_bytes,
    engine_data.check_augmentation,
    engine_dropout.check_dropout_has_its_stream,
    engine_dropout.check_dropout_is_off_when_measuring,
    engine_dropout.check_dropout_resumes,
    engine_dropout.check_dropout_in_a_group,
    engine_dropout.check_dropout_keeps_the_mask,
    engine_dropped.check_dropped_share,
    engine_dropped.check_dropped_units_are_independent,
    engine_dropped.check_dropped_units_of_layers_and_steps,
)
"""What every engine must pass; the networks are fully connected."""

ENGINE_CHECKS_ANY_MODEL: Final[tuple[EngineCheck, ...]] = (
    engine_models.check_any_model_resumes,
    engine_models.check_any_model_in_a_group,
    engine_models.check_batch_norm_when_measuring,
    engine_models.check_batch_norm_buffers,
    engine_models.check_any_model_with_settings,
    engine_models.check_tied_weights,
    engine_models.check_skipped_layers,
)
"""What an engine that takes any network must pass as well."""
