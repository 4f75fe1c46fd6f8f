#include "cli/loaded_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/device.h"
#include "cli/keep.h"
#include "cli/lengths.h"
#include "cli/output.h"
#include "cli/random_shape.h"
#include "core/file.h"

namespace tca::cli {

std::string LoadedModel::name() const {
  if (!shape.empty()) return shape + ", random weights";
  return model_name(dir);
}

namespace {

std::string file_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

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
  for (const std::string& warning : model->config().warnings) warn(warning);
  return {dir, std::move(pool), std::move(backend), std::move(model), std::move(tokenizer), device};
}

LoadedModel load_random_model(const ModelArgs& args, const std::string& shape, std::int64_t extra_positions) {
  const std::string dir = locate_model(args.model);
  const runtime::ModelConfig config = random_shape(shape, extra_positions);
  const std::string device = choose_device(args, config);
  const auto gpu = gpu_number(device);
  if (!gpu) {
    throw Error(ErrorCategory::kUnsupported,
                fmt::format("--random {} draws the weights in a GPU's memory, and the device is {}", shape, device));
  }
  auto pool = std::make_unique<ThreadPool>(args.threads);
  auto backend = create_backend(device, *pool);
  runtime::Tokenizer tokenizer = runtime::Tokenizer::load(dir);
  auto model = random_model_on_gpu(config, /*seed=*/1, *gpu);
  return {dir, std::move(pool), std::move(backend), std::move(model), std::move(tokenizer), device, shape};
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
  const std::string beside = usual_profile(loaded.dir);
  return has_entry(beside) ? beside : "";
}

runtime::SessionOptions session_options(const AttentionArgs& args, const LoadedModel& loaded) {
  runtime::SessionOptions options;
  check_length(fmt::format("--ctx {}", args.max_context), args.max_context, loaded);
  options.attention = attention_mode(args.attention);
  options.objective = args.objective;
  options.attend = args.attend;
  options.max_context = args.max_context;
  options.kv_budget_bytes = args.kv_budget_bytes;
  options.tolerance = args.tolerance;
  options.certify = args.certify;
  const bool full = options.attention == runtime::AttentionMode::kFull;
  if (full && (args.keep || args.attend || args.tolerance || !args.profile.empty())) {
    throw UsageError(
        "--attention full keeps everything: --keep, --attend, --tolerance and --profile do not go with it");
  }
  if (args.keep && *args.keep == 1) {
    if (args.tolerance || options.attention == runtime::AttentionMode::kTca) {
      throw UsageError("--keep 1 is full attention: --tolerance and --attention tca do not go with it");
    }
    options.keep = 1;
    options.attention = runtime::AttentionMode::kFull;
    return options;
  }
  const std::string path = full ? "" : profile_path(args, loaded);
  if (!path.empty()) {
    auto profile = std::make_shared<Profile>(Profile::load(path));
    if (!loaded.shape.empty()) *profile = spread_profile(*profile, loaded.model->fingerprint());
    profile->validate(loaded.model->fingerprint());
    if (options.objective.empty()) options.objective = profile->usual_objective();
    options.keep = args.keep.value_or(profile->usual_keep(options.objective));
    if (args.keep) (void)pick_keep(*profile, *args.keep, args.objective, fmt::format("--keep {:g}", *args.keep));
    options.profile = std::move(profile);
  } else if (args.keep || args.tolerance || options.attention == runtime::AttentionMode::kTca) {
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("{} has no {}, which --keep, --tolerance and --attention tca need: make one with "
                            "`tca calibrate`, or name one with --profile",
                            loaded.dir, file_name(usual_profile(loaded.dir))));
  }
  return options;
}

void note_options(const AttentionArgs& args, const runtime::SessionOptions& options, const LoadedModel& loaded,
                  bool hints) {
  if (options.profile != nullptr && args.keep) {
    const std::string text =
        nearest_budget_note(*options.profile, *args.keep, args.objective, fmt::format("--keep {:g}", *args.keep));
    if (!text.empty()) note(text);
    const std::string lossy = answers_warning(options);
    if (!lossy.empty()) warn(lossy);
  }
  if (options.profile == nullptr && options.attention == runtime::AttentionMode::kAuto && hints) {
    note(fmt::format("{0} has no {1}, so all attention is full; `tca calibrate -m {0} -t TEXT -o {2}` makes one",
                     loaded.dir, file_name(usual_profile(loaded.dir)), usual_profile(loaded.dir)));
  }
}

void check_context(std::int64_t num_tokens, const AttentionArgs& args, const LoadedModel& loaded) {
  const std::int64_t longest = loaded.model->config().max_position;
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
