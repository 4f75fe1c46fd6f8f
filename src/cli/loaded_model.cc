#include "cli/loaded_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/device.h"
#include "cli/output.h"
#include "cli/random_shape.h"

namespace tca::cli {

std::string LoadedModel::name() const {
  if (!shape.empty()) return shape + ", random weights";
  const auto path = std::filesystem::path(dir).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

namespace {

runtime::ModelOptions model_options(const ModelArgs& args) {
  runtime::ModelOptions options;
  if (args.compute != "auto") {
    options.compute = args.compute == "fp32" ? runtime::ComputeType::kF32 : runtime::ComputeType::kBF16;
  }
  if (args.weights == "int8") options.weights = runtime::WeightType::kInt8;
  return options;
}

}  // namespace

LoadedModel load_model(const ModelArgs& args) {
  const std::string dir = locate_model(args.model);
  const std::string device = choose_device(args, runtime::ModelConfig::load(dir));
  auto pool = std::make_unique<ThreadPool>(args.threads);
  auto backend = create_backend(device, *pool);
  runtime::Tokenizer tokenizer = runtime::Tokenizer::load(dir);
  auto model = load_on_device(device, dir, *pool, model_options(args));
  return {dir, std::move(pool), std::move(backend), std::move(model), std::move(tokenizer)};
}

LoadedModel load_random_model(const ModelArgs& args, const std::string& shape, std::int64_t extra_positions) {
  const std::string dir = locate_model(args.model);
  const runtime::ModelConfig config = random_shape(shape, extra_positions);
  const std::string device = choose_device(args, config);
  if (device != "cuda") {
    throw Error(ErrorCategory::kUnsupported,
                fmt::format("--random {} draws the weights in a GPU's memory, and the device is {}", shape, device));
  }
  auto pool = std::make_unique<ThreadPool>(args.threads);
  auto backend = create_backend(device, *pool);
  runtime::Tokenizer tokenizer = runtime::Tokenizer::load(dir);
  auto model = random_model_on_gpu(config, /*seed=*/1);
  return {dir, std::move(pool), std::move(backend), std::move(model), std::move(tokenizer), shape};
}

std::vector<std::int32_t> stop_ids(const runtime::ModelConfig& config, const runtime::ChatTemplate* chat) {
  std::vector<std::int32_t> ids = config.eos_tokens;
  if (chat == nullptr) return ids;
  for (const std::int32_t id : chat->stop_ids()) {
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

std::string profile_path(const AttentionArgs& args, const LoadedModel& loaded) {
  if (!args.profile.empty()) return args.profile;
  const std::filesystem::path beside = std::filesystem::path(loaded.dir) / "profile.json";
  std::error_code error;
  return std::filesystem::exists(beside, error) ? beside.string() : "";
}

runtime::SessionOptions session_options(const AttentionArgs& args, const LoadedModel& loaded) {
  runtime::SessionOptions options;
  options.attention = attention_mode(args.attention);
  options.keep = args.keep.value_or(kDefaultKeep);
  options.objective = args.objective;
  options.max_context = args.max_context;
  options.kv_budget_bytes = args.kv_budget_bytes;
  options.tolerance = args.tolerance;
  options.certify = args.certify;
  const bool full = options.attention == runtime::AttentionMode::kFull;
  if (full && (args.keep || args.tolerance || !args.profile.empty())) {
    throw UsageError("--attention full keeps everything: --keep, --tolerance and --profile do not go with it");
  }
  const std::string path = full ? "" : profile_path(args, loaded);
  if (!path.empty()) {
    auto profile = std::make_shared<Profile>(Profile::load(path));
    if (!loaded.shape.empty()) *profile = spread_profile(*profile, loaded.model->fingerprint());
    profile->validate(loaded.model->fingerprint());
    options.profile = std::move(profile);
  } else if (args.keep || args.tolerance || options.attention == runtime::AttentionMode::kTca) {
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("{} has no profile.json, which --keep, --tolerance and --attention tca need: make one with "
                            "`tca calibrate`, or name one with --profile",
                            loaded.dir));
  }
  return options;
}

void check_context(std::int64_t num_tokens, const AttentionArgs& args, const LoadedModel& loaded) {
  const std::int64_t longest = loaded.model->config().max_position;
  if (args.max_context > longest) {
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("--ctx {} is more than the {} tokens the model was made for", args.max_context, longest));
  }
  const std::int64_t context = args.max_context > 0 ? args.max_context : longest;
  if (num_tokens <= context) return;
  throw Error(ErrorCategory::kInvalidArgument,
              fmt::format("the prompt has {} tokens, the context {}: shorten the prompt{}", num_tokens, context,
                          context < longest ? fmt::format(" or raise --ctx (the model goes up to {})", longest) : ""));
}

runtime::AttentionMode attention_mode(const std::string& name) {
  if (name == "full") return runtime::AttentionMode::kFull;
  return name == "tca" ? runtime::AttentionMode::kTca : runtime::AttentionMode::kAuto;
}

std::string attention_name(runtime::AttentionMode mode) {
  switch (mode) {
    case runtime::AttentionMode::kAuto:
      return "auto";
    case runtime::AttentionMode::kFull:
      return "full";
    case runtime::AttentionMode::kTca:
      return "tca";
  }
  return "auto";
}

}  // namespace tca::cli
