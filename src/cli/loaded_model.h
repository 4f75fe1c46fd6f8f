// The model a job works with, and how its sessions read: what the command line's arguments turn into.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/locate.h"
#include "runtime/chat/chat_template.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/session.h"
#include "runtime/model/model.h"
#include "runtime/tokenizer/tokenizer.h"
#include "tca/backend.h"

namespace tca::cli {

struct ModelArgs {
  std::string model = kDefaultModel;
  std::string compute = "auto";
  std::string weights = "stored";
  std::string device = "auto";
  int threads = 0;
};

struct AttentionArgs {
  std::string attention = "auto";
  std::string profile;         // empty: profile.json of the model directory, where there is one
  std::optional<double> keep;  // without it, what the profile says, else kUnmeasuredKeep; 1 is full attention
  std::optional<double> attend;
  std::string objective;  // empty: the profile's usual one
  std::optional<double> tolerance;
  bool certify = false;
  std::int64_t max_context = 0;
  std::uint64_t kv_budget_bytes = 0;
};

struct SamplingArgs {
  std::int64_t max_tokens = 256;
  runtime::SamplingOptions sampling;
};

struct ChatFormArgs {
  std::string file;              // a template instead of the model's
  std::optional<bool> thinking;  // what the template gets as enable_thinking
};

/// Members are destroyed last to first; sessions must be gone before.
struct LoadedModel {
  std::string dir;
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<Backend> backend;
  std::shared_ptr<const runtime::Model> model;
  runtime::Tokenizer tokenizer;
  std::string shape = {};  // of a model with random weights, for which dir is where profile and tokenizer come from

  std::string name() const;  // the shape's, else the directory's
};
LoadedModel load_model(const ModelArgs& args);
/// A model of a shape (cli/random_shape.h) with random weights, on the GPU; profile and tokenizer are args.model's.
LoadedModel load_random_model(const ModelArgs& args, const std::string& shape, std::int64_t extra_positions);

/// What ends an answer: the tokens that config.json and generation_config.json name, and the chat form's own.
std::vector<std::int32_t> stop_ids(const runtime::ModelConfig& config, const runtime::ChatTemplate* chat);

/// Reads and checks the profile; UsageError where arguments contradict each other, kInvalidArgument where --keep is
/// less than the profile can keep.
runtime::SessionOptions session_options(const AttentionArgs& args, const LoadedModel& loaded);
/// The file session_options reads, empty when there is none.
std::string profile_path(const AttentionArgs& args, const LoadedModel& loaded);
/// Says on standard error where the options are not what one would expect of the arguments: --keep comes to another
/// share, or there is no profile and hints are wanted. Once a program, before the work.
void note_options(const AttentionArgs& args, const runtime::SessionOptions& options, const LoadedModel& loaded,
                  bool hints);
/// Throws kInvalidArgument when a prompt is longer than the context.
void check_context(std::int64_t num_tokens, const AttentionArgs& args, const LoadedModel& loaded);

runtime::AttentionMode attention_mode(const std::string& name);
std::string attention_name(runtime::AttentionMode mode);

}  // namespace tca::cli
