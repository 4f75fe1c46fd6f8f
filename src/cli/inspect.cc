// tca inspect: what a model, a profile or a saved session is, and what it keeps.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/keep.h"
#include "cli/locate.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/profile_report.h"
#include "cli/session_report.h"
#include "cli/terminal.h"
#include "cli/wrap.h"
#include "core/file.h"
#include "runtime/chat/chat_template.h"
#include "runtime/gguf/gguf_file.h"
#include "runtime/io/model_config.h"
#include "runtime/io/tensor_source.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

namespace fs = std::filesystem;

struct InspectArgs {
  std::string path = kDefaultModel;
  std::optional<double> keep;
  std::int64_t tokens = 4096;
  std::string objective;  // empty: the profile's usual one
  bool json = false;
};

void add_options(CLI::App& app, InspectArgs& args) {
  app.add_option("PATH", args.path, "Model, profile or saved session")->capture_default_str();
  app.add_option("--tokens", args.tokens, "Of an answer-risk profile, the length whose shares are drawn")
      ->check(in_int_range(1, std::numeric_limits<std::int32_t>::max()))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--keep", args.keep, "Of a profile, only the configuration for this share of the tokens")
      ->check(in_range(0, 1, /*low_excluded=*/true))
      ->type_name("RATIO");
  app.add_option("--objective", args.objective, "Of a profile, which configurations are drawn")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_flag("--json", args.json, "One JSON object on standard output (docs/cli.md)");
}

std::string line(const Style& style, const char* label, const std::string& text) {
  return labelled(style, label, 14, text);
}

// ---- a model

struct ModelFacts {
  runtime::ModelConfig config;
  std::vector<runtime::TensorSource::TypeCount> types;  // of the weights, that of most bytes first
  std::string fingerprint;
  std::string chat_template;  // its file, empty: none that can be used
  std::string chat_problem;   // why not
  std::int64_t parameters = 0;
  std::uint64_t file_bytes = 0, kv_bytes_per_token = 0;
  std::int32_t tokens = 0;  // of the tokenizer
  std::string profile;      // file, empty: none
};

void find_chat_template(const std::string& dir, const runtime::Tokenizer& tokenizer, ModelFacts& facts) {
  try {
    const auto chat = runtime::ChatTemplate::load(dir, tokenizer);
    facts.chat_template = fs::path(chat.name()).filename().string();
  } catch (const Error& error) {
    facts.chat_problem = error.what();
  }
}

ModelFacts read_model(const std::string& dir) {
  const auto tensors = runtime::TensorSource::open(dir);
  ModelFacts facts;
  facts.config = runtime::ModelConfig::load(dir);
  facts.types = tensors->types();
  facts.fingerprint = tensors->fingerprint();
  for (const auto& [name, tensor] : tensors->tensors()) facts.parameters += tensor.num_elements();
  facts.file_bytes = tensors->total_bytes();
  facts.kv_bytes_per_token = std::uint64_t{4} * static_cast<std::uint64_t>(facts.config.num_layers) *
                             static_cast<std::uint64_t>(facts.config.num_kv_heads) *
                             static_cast<std::uint64_t>(facts.config.head_dim);  // K and V, two bytes each
  const runtime::Tokenizer tokenizer = runtime::Tokenizer::load(dir);
  facts.tokens = tokenizer.vocab_size();
  find_chat_template(dir, tokenizer, facts);
  const std::string profile = usual_profile(dir);
  if (has_entry(profile)) facts.profile = profile;
  for (const auto& warnings : {facts.config.warnings, tensors->warnings()}) {
    for (const std::string& warning : warnings) warn(warning);
  }
  return facts;
}

std::string main_type(const ModelFacts& facts) { return facts.types.empty() ? "none" : facts.types.front().type; }

// "210 Q4_1 (57.0 MiB), 1 Q8_0 (28.7 MiB)"; of checkpoints with one type alone the line above says it all.
std::string types_text(const ModelFacts& facts) {
  std::string out;
  for (const auto& count : facts.types) {
    out += fmt::format("{}{} {} ({})", out.empty() ? "" : ", ", count.tensors, count.type, format_bytes(count.bytes));
  }
  return out;
}

std::string model_text(const std::string& dir, const ModelFacts& facts, const Style& style) {
  const runtime::ModelConfig& config = facts.config;
  std::string text = style.bold(dir) + ": a model\n";
  text += line(style, "architecture", config.architecture);
  text += line(
      style, "parameters",
      fmt::format("{}, {} in {}", format_count(facts.parameters), format_bytes(facts.file_bytes), main_type(facts)));
  if (facts.types.size() > 1) text += line(style, "tensors", types_text(facts));
  text += line(style, "layers",
               fmt::format("{}, hidden {}, MLP {}", config.num_layers, format_count(config.hidden_size),
                           format_count(config.intermediate_size)));
  text += line(style, "heads",
               fmt::format("{} query, {} KV, head_dim {}", config.num_heads, config.num_kv_heads, config.head_dim));
  text += line(style, "context",
               fmt::format("{}; rope {}", counted(config.max_position, "token"), config.describe_ropes()));
  text += line(style, "vocabulary", counted(facts.tokens, "token"));
  text += line(style, "chat form", facts.chat_template.empty() ? facts.chat_problem : facts.chat_template);
  const std::uint64_t full = facts.kv_bytes_per_token * static_cast<std::uint64_t>(config.max_position);
  text += line(style, "KV cache",
               fmt::format("{} a token with full attention, {} for the whole context",
                           format_bytes(facts.kv_bytes_per_token), format_bytes(full)));
  text += line(style, "fingerprint", facts.fingerprint);
  text += line(style, "profile", facts.profile.empty() ? "none (tca calibrate makes one)" : facts.profile);
  return text;
}

Json model_facts_json(const std::string& dir, const ModelFacts& facts) {
  const runtime::ModelConfig& config = facts.config;
  Json types = Json::array();
  for (const auto& count : facts.types) {
    types.push_back({{"type", count.type}, {"tensors", count.tensors}, {"bytes", count.bytes}});
  }
  return {{"command", "inspect"},
          {"version", TCA_VERSION},
          {"kind", "model"},
          {"path", dir},
          {"architecture", config.architecture},
          {"parameters", facts.parameters},
          {"weight_bytes", facts.file_bytes},
          {"dtype", main_type(facts)},
          {"tensor_types", std::move(types)},
          {"num_layers", config.num_layers},
          {"hidden_size", config.hidden_size},
          {"intermediate_size", config.intermediate_size},
          {"num_heads", config.num_heads},
          {"num_kv_heads", config.num_kv_heads},
          {"head_dim", config.head_dim},
          {"max_position", config.max_position},
          {"rope", config.describe_ropes()},
          {"vocab_size", config.vocab_size},
          {"tokenizer_tokens", facts.tokens},
          {"chat_template", facts.chat_template.empty() ? Json() : Json(facts.chat_template)},
          {"chat_template_problem", facts.chat_problem.empty() ? Json() : Json(facts.chat_problem)},
          {"kv_bytes_per_token", facts.kv_bytes_per_token},
          {"weights_sha256", facts.fingerprint},
          {"profile", facts.profile.empty() ? Json() : Json(facts.profile)}};
}

// ---- a profile

std::vector<HeatMap> maps_of(const Profile& profile, const InspectArgs& args) {
  const std::vector<double> keep = args.keep ? std::vector<double>{*args.keep} : std::vector<double>{};
  return profile_maps(profile, keep, args.objective.empty() ? profile.usual_objective() : args.objective, args.tokens);
}

void note_nearest(const Profile& profile, const InspectArgs& args) {
  const std::string text =
      nearest_budget_note(profile, *args.keep, args.objective, fmt::format("--keep {:g}", *args.keep));
  if (!text.empty()) note(text);
}

std::string profile_text(const std::string& path, const Profile& profile, const InspectArgs& args, const Style& style) {
  const std::vector<HeatMap> maps = maps_of(profile, args);
  std::string text = style.bold(path) + ": a profile\n";
  const ModelFingerprint& model = profile.model;
  text += line(style, "model",
               fmt::format("{}, {}, {}, {}, head_dim {}", model.architecture, counted(model.num_layers, "layer"),
                           counted(model.num_heads, "head"), counted(model.num_kv_heads, "KV head"), model.head_dim));
  text += line(style, "", fmt::format("rope {}, vocabulary {}", model.rope, format_count(model.vocab_size)));
  text += line(style, "weights", model.weights_sha256);
  text += line(style, "calibrated",
               fmt::format("{} by tca {}, on {}, seed {}", profile.date, profile.version,
                           counted(profile.calibration_tokens, "token"), profile.seed));
  if (profile.answer_risk) {
    text += line(style, "default", fmt::format("--keep {:g} (answer-risk)", profile.usual_keep(kAnswerRisk)));
  } else if (profile.default_keep) {
    text += line(style, "default",
                 fmt::format("--keep {:g} ({}), measured on {}", profile.default_keep->keep,
                             profile.default_keep->objective, profile.default_keep->measured_on));
  } else {
    text += line(style, "default", fmt::format("--keep {:g}, not measured on this model", kUnmeasuredKeep));
  }
  text += line(style, "selection",
               fmt::format("blocks of {}, window {}, sinks {}, {}", profile.rule.block_size, profile.rule.window,
                           profile.rule.sinks, counted(profile.rule.probe_queries, "probe")));
  if (profile.answer_risk) text += "\n" + answers_table(*profile.answer_risk, style);
  if (!profile.budgets.empty()) text += "\n" + budgets_table(profile, style);
  text += "\n" + fill("Percent of the tokens kept, by layer (down) and KV head (across)", style.width(), 0) + "\n";
  return text + render_heat_maps(maps, style);
}

// ---- which of them it is

bool looks_like_json(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char first = ' ';
  while (file.get(first) && (first == ' ' || first == '\n' || first == '\r' || first == '\t')) {
  }
  return first == '{';
}

int run(const InspectArgs& args) {
  const Style style = style_of(STDOUT_FILENO);
  std::error_code error;
  const bool file =
      fs::exists(args.path, error) && !fs::is_directory(args.path, error) && !runtime::is_gguf_file(args.path);
  if (!file) {
    const std::string dir = locate_model(args.path);
    const ModelFacts facts = read_model(dir);
    args.json ? write_json(model_facts_json(dir, facts)) : write_output(model_text(dir, facts, style));
  } else if (looks_like_json(args.path)) {
    const Profile profile = Profile::load(args.path);
    if (args.keep) note_nearest(profile, args);
    if (!args.json) {
      write_output(profile_text(args.path, profile, args, style));
      return 0;
    }
    Json object = {{"command", "inspect"}, {"version", TCA_VERSION}, {"kind", "profile"}, {"path", args.path}};
    object.update(profile_json(profile));
    write_json(object);
  } else {
    const SavedSession saved = read_saved_session(args.path);
    args.json ? write_json(session_json(args.path, saved)) : write_output(session_text(args.path, saved, style));
  }
  return 0;
}

}  // namespace

void add_inspect_command(CLI::App& app, Job& job) {
  add_command<InspectArgs>(app, job, "inspect", "Show a model, a profile or a saved session", add_options, run)
      .footer(
          "Examples:\n  tca inspect ~/models/Qwen3-4B\n  tca inspect profile.json --keep 0.2\n  tca inspect book.chat");
}

}  // namespace tca::cli
