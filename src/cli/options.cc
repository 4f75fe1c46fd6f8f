#include "cli/options.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "cli/device.h"
#include "cli/format.h"
#include "tca/error.h"

namespace tca::cli {

namespace {

// The whole text as a number, the way CLI11 will read it.
template <class Number>
bool parse_number(const std::string& text, Number& value) {
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  return result.ec == std::errc() && result.ptr == end;
}

// The words of completion; of GPUs there are more.
CLI::Validator is_device() {
  const CLI::Validator word = one_of({"auto", "cpu", "cuda", "reference"});
  CLI::Validator device = word;
  device.operation([word](std::string& text) {
    if (gpu_number(text) || word(text).empty()) return std::string();
    return fmt::format("'{}' must be auto, cpu, cuda, cuda:N (GPU N, counted from 0) or reference", text);
  });
  return device;
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
      "", "range");
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
      "", "int range");
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

void add_seed_option(CLI::App& app, std::uint64_t& seed, const std::string& help) {
  app.add_option("--seed", seed, help)
      ->check(in_int_range(0, std::numeric_limits<std::int64_t>::max()))
      ->type_name("N")
      ->capture_default_str();
}

void add_model_options(CLI::App& app, ModelArgs& args) {
  app.add_option("-m,--model", args.model, "Directory, GGUF file or name of a model")
      ->type_name("DIR")
      ->capture_default_str()
      ->group("Model");
  app.add_option("--compute", args.compute, "Precision of the matrix products: auto, bf16, fp32")
      ->check(one_of({"auto", "bf16", "fp32"}))
      ->type_name("TYPE")
      ->capture_default_str()
      ->group("Model");
  app.add_option("--weights", args.weights, "What weights are kept as: stored, int8 (CPU)")
      ->check(one_of({"stored", "int8"}))
      ->type_name("TYPE")
      ->capture_default_str()
      ->group("Model");
  app.add_option("--threads", args.threads, "Threads (default: one for each hardware thread)")
      ->check(in_int_range(0, 4096))
      ->type_name("N")
      ->group("Model");
  app.add_option("--device", args.device, "Where it runs: auto, cpu, cuda, cuda:N (GPU N, from 0), reference")
      ->check(is_device())
      ->type_name("NAME")
      ->capture_default_str()
      ->group("Model");
}

void add_profile_options(CLI::App& app, AttentionArgs& args) {
  app.add_option("--profile", args.profile, "Calibrated profile (default: profile.json of the model)")
      ->type_name("FILE")
      ->group("Attention");
  app.add_option("--keep", args.keep,
                 fmt::format("Share of the tokens to keep (default: the profile's, else {}); 1: all", kUnmeasuredKeep))
      ->check(in_range(0, 1, /*low_excluded=*/true))
      ->type_name("RATIO")
      ->group("Attention");
  app.add_option("--attend", args.attend,
                 "With answer-risk: share of the tokens that prefill computes over (default: everything)")
      ->check(in_range(0, 1, /*low_excluded=*/true))
      ->type_name("RATIO")
      ->group("Attention");
  app.add_option("--objective", args.objective,
                 "Configurations to pick from: answer-risk, tail-risk, paper (default: the first the profile has)")
      ->type_name("NAME")
      ->group("Attention");
}

void add_attention_options(CLI::App& app, AttentionArgs& args) {
  app.add_option("--attention", args.attention, "auto (tca where it is faster), full, tca")
      ->check(one_of({"auto", "full", "tca"}))
      ->type_name("MODE")
      ->capture_default_str()
      ->group("Attention");
  add_profile_options(app, args);
  app.add_option(
         "--tolerance", args.tolerance,
         "Keep more than --keep where more would be lost than this: nats of an answer's margin, by the profile's "
         "curves; with other objectives attention mass, by head")
      ->check(in_range(0, 1000))
      ->type_name("EPS")
      ->group("Attention");
  app.add_option("--ctx", args.max_context, "Longest context in tokens (default: the model's)")
      ->check(in_int_range(0, std::numeric_limits<std::int32_t>::max()))
      ->type_name("N")
      ->group("Attention");
  add_byte_size_option(app, "--kv-budget", args.kv_budget_bytes,
                       "Most bytes of KV cache, e.g. 512M (default: no limit)");
  app.get_option("--kv-budget")->group("Attention");
}

void add_chat_form_options(CLI::App& app, ChatFormArgs& args) {
  app.add_option("--chat-template", args.file, "Jinja template of the chat form (default: the model's)")
      ->type_name("FILE")
      ->group("Chat form");
  auto* thinking =
      app.add_flag_callback(
             "--thinking", [&args] { args.thinking = true; }, "Let the model think first, where the template can")
          ->group("Chat form");
  app.add_flag_callback(
         "--no-thinking", [&args] { args.thinking = false; }, "Let it answer at once, where the template can")
      ->excludes(thinking)
      ->group("Chat form");
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
  add("--temperature", sampling.temperature, "0 takes the most likely token", in_range(0, kInfinity), "T");
  add("--top-k", sampling.top_k, "Only the K most likely tokens; 0 is off",
      in_int_range(0, std::numeric_limits<std::int32_t>::max()), "K");
  add("--top-p", sampling.top_p, "Only the most likely tokens that make up P; 1 is off", in_range(0, 1, true), "P");
  add("--min-p", sampling.min_p, "Only tokens P times as likely as the first; 0 is off", in_range(0, 1), "P");
  add("--repetition-penalty", sampling.repetition_penalty, "Above 1, repeats become less likely; 1 is off",
      in_range(0, kInfinity, true), "R");
  add_seed_option(app, sampling.seed, "Of the random numbers");
  app.get_option("--seed")->group("Sampling");
}

}  // namespace tca::cli
