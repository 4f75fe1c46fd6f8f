// Options that several commands share, and what they turn into.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/engine/sampler.h"
#include "runtime/engine/session.h"
#include "runtime/model/model.h"
#include "runtime/tokenizer/chat_template.h"
#include "runtime/tokenizer/tokenizer.h"
#include "tca/backend.h"

namespace tca::cli {

/// Accepts finite numbers in [low, high], or (low, high] when low is excluded; says so in the help.
CLI::Validator in_range(double low, double high, bool low_excluded = false);
/// Integers in [low, high].
CLI::Validator in_int_range(std::int64_t low, std::int64_t high);
/// Sizes such as 512M, written to bytes.
void add_byte_size_option(CLI::App& app, const std::string& name, std::uint64_t& bytes, const std::string& help);

struct ModelArgs {
  std::string model;
  std::string compute = "auto";
  std::string backend = "auto";
  int threads = 0;
};
void add_model_options(CLI::App& app, ModelArgs& args);

struct AttentionArgs {
  std::string attention = "auto";
  std::string profile;  // empty: profile.json of the model directory, where there is one
  std::optional<double> keep;
  std::string objective = "tail-risk";
  std::optional<double> tolerance;
  bool certify = false;
  std::int64_t max_context = 0;
  std::uint64_t kv_budget_bytes = 0;
};
inline constexpr double kDefaultKeep = 0.2;
/// --profile, --keep, --objective: which configuration is used.
void add_profile_options(CLI::App& app, AttentionArgs& args);
/// Those, and --attention, --tolerance, --ctx, --kv-budget.
void add_attention_options(CLI::App& app, AttentionArgs& args);

struct SamplingArgs {
  std::int64_t max_tokens = 256;
  runtime::SamplingOptions sampling;
};
void add_sampling_options(CLI::App& app, SamplingArgs& args);

/// What every job works with. Members are destroyed last to first: sessions must be gone before.
struct LoadedModel {
  std::string dir;
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<Backend> backend;
  std::shared_ptr<const runtime::Model> model;
  runtime::Tokenizer tokenizer;

  std::string name() const;  // the directory's
};
LoadedModel load_model(const ModelArgs& args);

/// Reads and checks the profile; UsageError where options contradict each other.
runtime::SessionOptions session_options(const AttentionArgs& args, const LoadedModel& loaded);
/// The file session_options reads, empty when there is none.
std::string profile_path(const AttentionArgs& args, const LoadedModel& loaded);
/// Throws kInvalidArgument when a prompt is longer than the context.
void check_context(std::int64_t num_tokens, const AttentionArgs& args, const LoadedModel& loaded);

runtime::AttentionMode attention_mode(const std::string& name);
std::string attention_name(runtime::AttentionMode mode);

}  // namespace tca::cli
