#include "cli/options.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>

#include "cli/format.h"
#include "cli/locate.h"
#include "cli/output.h"

namespace tca::cli {

namespace {

// The whole text as a number, the way CLI11 will read it.
template <class Number>
bool parse_number(const std::string& text, Number& value) {
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  return result.ec == std::errc() && result.ptr == end;
}

}  // namespace

CLI::Validator in_range(double low, double high, bool low_excluded) {
  const std::string range = std::isinf(high) ? fmt::format("{} {}", low_excluded ? ">" : ">=", low)
                                             : fmt::format("in {}{}, {}]", low_excluded ? "(" : "[", low, high);
  return CLI::Validator(
      [=](std::string& text) {
        double value = 0;
        // The negated comparison refuses NaN too.
        const bool number = parse_number(text, value) && std::isfinite(value);
        if (number && (low_excluded ? value > low : value >= low) && value <= high) return std::string();
        return fmt::format("'{}' must be a number {}", text, range);
      },
      range, "range");
}

CLI::Validator in_int_range(std::int64_t low, std::int64_t high) {
  const std::string range = high == std::numeric_limits<std::int64_t>::max() ? fmt::format(">= {}", low)
                                                                             : fmt::format("in [{}, {}]", low, high);
  return CLI::Validator(
      [=](std::string& text) {
        std::int64_t value = 0;
        if (parse_number(text, value) && value >= low && value <= high) return std::string();
        return fmt::format("'{}' must be a whole number {}", text, range);
      },
      range, "int range");
}

void add_byte_size_option(CLI::App& app, const std::string& name, std::uint64_t& bytes, const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [&bytes](const std::string& text) {
           try {
             bytes = parse_byte_size(text);
           } catch (const Error& error) {
             throw CLI::ValidationError(error.what());
           }
         },
         help)
      ->type_name("SIZE");
}

void add_model_options(CLI::App& app, ModelArgs& args) {
  args.model = kDefaultModel;
  app.add_option("-m,--model", args.model, "Model directory (config.json, safetensors, tokenizer.json), or a name")
      ->type_name("DIR")
      ->capture_default_str()
      ->group("Model");
  app.add_option("--compute", args.compute, "Precision of the matrix products: auto, bf16, fp32")
      ->check(CLI::IsMember({"auto", "bf16", "fp32"}).description(""))
      ->type_name("TYPE")
      ->capture_default_str()
      ->group("Model");
  app.add_option("--threads", args.threads, "Threads (0: one for each hardware thread)")
      ->check(in_int_range(0, 4096))
      ->type_name("N")
      ->capture_default_str()
      ->group("Model");
  app.add_option("--backend", args.backend, "Where attention runs: auto, cpu, reference")
      ->type_name("NAME")
      ->capture_default_str()
      ->group("Model");
}

void add_profile_options(CLI::App& app, AttentionArgs& args) {
  app.add_option("--profile", args.profile, "Calibrated profile (default: profile.json of the model)")
      ->type_name("FILE")
      ->group("Attention");
  app.add_option("--keep", args.keep, fmt::format("Share of the tokens to keep (default: {})", kDefaultKeep))
      ->check(in_range(0, 1, /*low_excluded=*/true))
      ->type_name("RATIO")
      ->group("Attention");
  app.add_option("--objective", args.objective, "How the profile's configuration was chosen: tail-risk, paper")
      ->type_name("NAME")
      ->capture_default_str()
      ->group("Attention");
}

void add_attention_options(CLI::App& app, AttentionArgs& args) {
  app.add_option("--attention", args.attention,
                 "auto (tca where it is faster), full (dense, everything kept), tca (whatever the length)")
      ->check(CLI::IsMember({"auto", "full", "tca"}).description(""))
      ->type_name("MODE")
      ->capture_default_str()
      ->group("Attention");
  add_profile_options(app, args);
  app.add_option("--tolerance", args.tolerance,
                 "Heads that would lose more attention mass than this (95th percentile) keep more")
      ->check(in_range(0, 1))
      ->type_name("EPS")
      ->group("Attention");
  app.add_option("--ctx", args.max_context, "Longest context in tokens (0: the model's)")
      ->check(in_int_range(0, std::numeric_limits<std::int32_t>::max()))
      ->type_name("N")
      ->capture_default_str()
      ->group("Attention");
  add_byte_size_option(app, "--kv-budget", args.kv_budget_bytes,
                       "Most bytes of KV cache, e.g. 512M (default: no limit)");
  app.get_option("--kv-budget")->group("Attention");
}

void add_sampling_options(CLI::App& app, SamplingArgs& args) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto add = [&app](const std::string& name, auto& value, const std::string& help, const CLI::Validator& check,
                          const std::string& type) {
    app.add_option(name, value, help)->check(check)->type_name(type)->capture_default_str()->group("Sampling");
  };
  runtime::SamplingOptions& sampling = args.sampling;
  add("-n,--max-tokens", args.max_tokens, "Most tokens to generate",
      in_int_range(0, std::numeric_limits<std::int32_t>::max()), "N");
  add("--temperature", sampling.temperature, "0: greedy, the most likely token", in_range(0, kInfinity), "T");
  add("--top-k", sampling.top_k, "Only the K most likely tokens (0: off)",
      in_int_range(0, std::numeric_limits<std::int32_t>::max()), "K");
  add("--top-p", sampling.top_p, "Only the most likely tokens that make up P (1: off)", in_range(0, 1, true), "P");
  add("--min-p", sampling.min_p, "Only tokens at least P times as likely as the first (0: off)", in_range(0, 1), "P");
  add("--repetition-penalty", sampling.repetition_penalty, "Above 1: repeats become less likely",
      in_range(0, kInfinity, true), "R");
  add("--seed", sampling.seed, "Of the random numbers", CLI::Validator(), "N");
}

std::string LoadedModel::name() const {
  const auto path = std::filesystem::path(dir).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

LoadedModel load_model(const ModelArgs& args) {
  const std::map<std::string, runtime::ComputeType> types = {{"auto", runtime::ComputeType::kAuto},
                                                             {"bf16", runtime::ComputeType::kBF16},
                                                             {"fp32", runtime::ComputeType::kF32}};
  const std::string dir = locate_model(args.model);
  auto pool = std::make_unique<ThreadPool>(args.threads);
  auto backend = create_backend(args.backend, *pool);
  runtime::Tokenizer tokenizer = runtime::Tokenizer::load(dir);
  auto model = runtime::Model::load(dir, *pool, {.compute = types.at(args.compute)});
  return {dir, std::move(pool), std::move(backend), std::move(model), std::move(tokenizer)};
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
