// Options that several commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "cli/loaded_model.h"
#include "cli/reference.h"

namespace tca::cli {

/// Accepts finite numbers in [low, high], or (low, high] when low is excluded.
CLI::Validator in_range(double low, double high, bool low_excluded = false);
/// Integers in [low, high].
CLI::Validator in_int_range(std::int64_t low, std::int64_t high);
/// Sizes such as 512M, written to bytes.
void add_byte_size_option(CLI::App& app, const std::string& name, std::uint64_t& bytes, const std::string& help);

void add_seed_option(CLI::App& app, std::uint64_t& seed, const std::string& help);

void add_model_options(CLI::App& app, ModelArgs& args);
/// --profile, --keep, --objective: which configuration is used.
void add_profile_options(CLI::App& app, AttentionArgs& args);
/// Those, and --attention, --tolerance, --ctx, --kv-budget.
void add_attention_options(CLI::App& app, AttentionArgs& args);
/// --chat-template, --thinking.
void add_chat_form_options(CLI::App& app, ChatFormArgs& args);
void add_sampling_options(CLI::App& app, SamplingArgs& args);

}  // namespace tca::cli
