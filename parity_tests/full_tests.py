"""Which tests wait for `pytest parity_tests -m full`: exhaustive ones beside a quick test of the same claim.

`pytest parity_tests` holds every claim once: the shapes, parameter counts, all rungs of v1 to v3 in both
profiles, the bands, each numbered difference's fault, each command. What is here repeats a claim over more
dtypes, generations, arguments or formats, or runs a document from end to end. A test can carry
`@pytest.mark.full` itself, too.
"""

from __future__ import annotations

import re

FULL: dict[str, str] = {
    r"test_porting_guide.py::test_(everything_in_the_guide_happens|what_does_not_hold_is_reported)": (
        "every block of the guide, and the guide with a fault in it"
    ),
    # Grids: one generation or one precision is quick.
    r"test_rules.py::test_rule_matches_keras\[(?!keras3-float64-)": "the other generation, and float32",
    r"test_rules.py::test_rule_matches_keras\[.*-(recurrent|attention|wrapper|embedding|image|channels)": (
        "rarer families"
    ),
    r"test_rules.py::test_every_rule_is_proven_and_the_page_says_so": "asks for all of the grid",
    r"test_training_rungs.py::test_training_matches_keras\[.*-float32\]": "float64 is quick",
    r"test_training_rungs.py::test_a_scheduler_gives_the_port_its_rates\[keras3\]": "tf2.4 is quick",
    r"test_differences.py::test_page_says_what_was_found": "asks for every fault in every profile and dtype",
    r"test_last_bits.py::": "float32 trainings beside their own perturbations",
    r"test_bands.py::test_one_more_training_lies_in_the_band\[v1-": "v3 is quick",
    r"test_optimizers.py::test_optimizer_matches_keras\[.*-float32-": "float64 is quick",
    r"test_optimizers.py::test_(resumed_training_is_the_same_to_the_bit|memory_layout_does_not_matter)": (
        "every optimizer in every dtype"
    ),
    r"test_optimizers.py::test_(optimizer_from_keras_config|training_goes_over)": "another way in",
    r"test_optimizers.py::test_ftrl_in_float32_is_as_near_to_float64_as_keras": "float32",
    r"test_accuracy.py::": "every pair of outputs and labels",
    r"test_losses.py::test_losses_are_keras\[.*-float32\]": "float64 is quick",
    r"test_schedules.py::test_rates_are_keras\[.*float32": "float64 is quick",
    r"test_callbacks.py::test_decisions_are_keras\[.*tf2.4": "Keras 3 is quick",
    r"test_callbacks.py::test_(a_wrong_argument_is_noticed|names_are_read_as_tf_keras_reads_them)": "faults",
    r"test_keras_file.py::test_(graph|weights|optimizer_state)_match.*\[.*tf2.4": "Keras 3 is quick",
    r"test_rules.py::test_harness_catches": "faults",
    r"test_keras_file.py::test_names_are_the_same_in_every_format": "every format",
    r"test_augment_keras.py::test_affine_and_flips_match_keras\[.*-200-": "200 images",
    r"test_pretrained.py::test_layer_list_is_read_by_order\[(?!mobilenet)": "other backbones",
    r"test_final.py::test_(fault_fails|final_matches|weights_go|names_stand_in|stages_train)": "backbones",
    # Conversion and audit of what was converted.
    r"test_converted_v3.py::test_(converted_v3_climbs|unbiased_variance)": "whole trainings",
    r"test_convert.py::test_command_converts_and_proves\[(?!several)": "one file is quick",
    r"test_convert.py::test_(types_hold|any_file_name|training_goes_on_in_float32|second_run)": "every case",
    r"test_convert.py::test_(every_part_of_the|source_is_formatted|custom_functions)": "every case",
    r"test_convert.py::test_training_goes_on_as_in_keras\[(?!residual-keras3)": "one net is quick",
    r"test_convert_claims.py::test_files_have_the_mode": "every command that writes",
    r"test_convert_between.py::": "optimizers of TF 2.11 to 2.15",
    r"test_audit_converted.py::": "audits of converted nets, and edits of every kind",
    r"test_older_files.py::": "files of TF 2.0 to 2.14",
    r"test_keras_file_refusals.py::test_command_says_one_line_and_writes_nothing": "processes",
    r"test_proof.py::test_(other_generation_is_tried|fault_is_found_in)": "the proof's own faults",
    r"test_carry_over.py::test_next_steps_match_keras\[(?!tf2.4-v3-nadam-float64)": "one net is quick",
    r"test_carry_over.py::test_(resumed_run|what_is_not|both_formats|next_steps_match_those)": "formats",
    r"test_carry_over_refusals.py::test_(files_without|config_that|unchanged|file_that)": "refusals",
    r"test_keras_file_fuzz.py::test_damaged_files_are_read_or_refused": "damaged files",
    # Fits, commands and processes.
    r"test_resume.py::test_(interrupted_fit|each_part|signal_to_the_workers|fit_stopped_twice)": "fits",
    r"test_fit.py::test_(config_is_read_alike|schedule_of_a_config|callbacks_of_a_config|killed_fit)": "fits",
    r"test_averaged_weights.py::": "fits",
    r"test_frozen_features.py::test_features_train_what_images_train\[(?!efficientnet_lite0)": "backbones",
    r"test_frozen_features.py::test_(workers_and|they_are_not|stopped_fit|a_signal_keeps)": "fits",
    r"test_package_weights.py::test_the_thousand_class_net.*\[keras3": "tf2.4 is quick",
    r"test_package_weights.py::test_keras_side_says": "the Lightning side is quick",
    r"test_final_fit.py::test_final_trains_on_the_stand_in": "fits",
    r"test_(fit|keras_fit).py::test_bad_(value|input)_is_one_line": "processes",
    r"test_run_folder_use.py::test_(home_folder|changed_settings|.*stopped_again)": "fits",
    r"test_progress_bar.py::test_bar_counts_from_one": "a fit in a terminal",
    r"test_batches.py::test_(two_processes_train_as_one|pixels_hang_on)": "processes",
    r"test_expand_and_preview.py::test_expand_goes_on_where_it_stopped": "processes",
    r"test_record.py::test_(refused_models_are|functional_model_is)": "processes",
    r"test_data_rung.py::test_bad_input_of_the_recorder_is_one_line": "processes",
    r"test_stand_in.py::": "drawing, by several processes",
    r"test_keras_fit.py::test_order_split_and_pixels": "the same as of the generator",
    r"test_sources.py::test_(overlay_config|keras_side_prepares|second_start)": "processes",
    r"test_study_queue.py::": "fits that are killed",
    r"test_import_rules.py::test_forbidden_import_would_be_noticed": "processes",
    r"test_equivalence.py::test_(power_is_how_often|a_wrong_claim_is_as_seldom|interval_lies)": "simulations",
}
"""By a pattern of test ids, why they wait."""


def is_full(nodeid: str) -> bool:
    """Whether a test waits for `-m full`."""
    return any(re.search(pattern, nodeid) for pattern in FULL)
