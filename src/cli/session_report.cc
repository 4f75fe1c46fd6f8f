#include "cli/session_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>

#include "cli/format.h"
#include "cli/heat_map.h"
#include "cli/profile_report.h"
#include "cli/wrap.h"
#include "core/json.h"
#include "tca/version.h"

namespace tca::cli {

namespace {

// Ends the first pass over a file, which only asks what kind of cache it holds.
struct ShapeKnown {
  KvShape shape;
  std::string metadata;
};

ShapeKnown read_shape(const std::string& path) {
  try {
    (void)KvCache::load(path, nullptr, [](const KvShape& shape, const std::string& metadata) {
      throw ShapeKnown{shape, metadata};
    });
  } catch (const ShapeKnown& known) {
    return known;
  }
  throw Error(ErrorCategory::kBadFile, path + ": not a saved session");
}

// What the runtime wrote beside the cache.
void read_metadata(const std::string& path, const std::string& metadata, SavedSession& saved) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const JsonDocument document(parse_json(metadata, path));
  const nlohmann::json& object = *document;
  const std::string& where = path;
  const nlohmann::json& model = get_object(object, "model", where);
  const std::string in_model = where + ": model.";
  const auto number = [&](const char* field) {
    return static_cast<std::int32_t>(get_int(model, field, in_model, 0, kMost));
  };
  saved.model.architecture = get_string(model, "architecture", in_model);
  saved.model.num_layers = number("num_layers");
  saved.model.num_heads = number("num_heads");
  saved.model.num_kv_heads = number("num_kv_heads");
  saved.model.head_dim = number("head_dim");
  saved.model.rope = get_string(model, "rope", in_model);
  saved.model.vocab_size = number("vocab_size");
  saved.model.weights_sha256 = get_string(model, "weights_sha256", in_model);
  // Null where the session had no profile.
  const nlohmann::json* const profile = get_optional_object(object, "profile", where);
  if (profile == nullptr) return;
  saved.objective = get_string(*profile, "objective", where + ": profile.");
  saved.budget = get_number(*profile, "budget", where + ": profile.", 0, 1);
}

}  // namespace

double SavedSession::kept_share(std::size_t layer, std::size_t head) const {
  return num_tokens > 0 ? static_cast<double>(lengths[layer][head]) / static_cast<double>(num_tokens) : 0;
}

double SavedSession::kept_share() const {
  double sum = 0;
  std::size_t heads = 0;
  for (std::size_t l = 0; l < lengths.size(); ++l) {
    for (std::size_t h = 0; h < lengths[l].size(); ++h, ++heads) sum += kept_share(l, h);
  }
  return heads > 0 ? sum / static_cast<double>(heads) : 0;
}

bool is_saved_session(const std::string& path) {
  try {
    (void)read_shape(path);
    return true;
  } catch (const Error& error) {
    if (error.category() != ErrorCategory::kBadFile) throw;
    return false;
  }
}

SavedSession read_saved_session(const std::string& path) {
  const ShapeKnown known = read_shape(path);
  SavedSession saved;
  saved.shape = known.shape;
  read_metadata(path, known.metadata, saved);
  saved.file_bytes = std::filesystem::file_size(path);
  // The file bounds what is allocated; no budget beyond that.
  const auto pool =
      KvPool::create(std::numeric_limits<std::size_t>::max() / 2, saved.shape.head_dim, saved.shape.dtype);
  const KvCache cache = KvCache::load(path, pool, {});
  saved.num_tokens = cache.num_tokens(0);
  saved.kv_bytes = cache.bytes_used();
  for (std::int32_t l = 0; l < saved.shape.num_layers; ++l) {
    std::vector<std::int64_t> heads;
    for (std::int32_t h = 0; h < saved.shape.num_kv_heads; ++h) heads.push_back(cache.length(l, h));
    saved.lengths.push_back(std::move(heads));
  }
  return saved;
}

std::string session_text(const std::string& path, const SavedSession& saved, const Style& style) {
  const auto line = [&](const char* label, const std::string& text) { return labelled(style, label, 14, text); };
  HeatMap map;
  map.title = "kept";
  for (std::size_t l = 0; l < saved.lengths.size(); ++l) {
    std::vector<double> shares;
    for (std::size_t h = 0; h < saved.lengths[l].size(); ++h) shares.push_back(saved.kept_share(l, h));
    map.shares.push_back(std::move(shares));
  }
  std::string text = style.bold(path) + ": a saved session\n";
  text += line("model", saved.model.describe());
  text += line("attention", saved.objective.empty() ? "full, everything kept"
                                                    : fmt::format("tca, {} {:.2f}", saved.objective, saved.budget));
  text += line("tokens", format_count(saved.num_tokens));
  text += line("cache", fmt::format("{}, {}, head_dim {}, {}", counted(saved.shape.num_layers, "layer"),
                                    counted(saved.shape.num_kv_heads, "KV head"), saved.shape.head_dim,
                                    dtype_name(saved.shape.dtype)));
  text += line("kept", fmt::format("{} of the tokens, {} in memory, {} in the file", format_percent(saved.kept_share()),
                                   format_bytes(saved.kv_bytes), format_bytes(saved.file_bytes)));
  text += '\n' + fill("Percent of the tokens kept, by layer (down) and KV head (across)", style.width(), 0) + "\n";
  return text + render_heat_maps({map}, style);
}

Json session_json(const std::string& path, const SavedSession& saved) {
  return {{"command", "inspect"},
          {"version", TCA_VERSION},
          {"kind", "session"},
          {"path", path},
          {"model", fingerprint_json(saved.model)},
          {"objective", saved.objective.empty() ? Json() : Json(saved.objective)},
          {"budget", saved.budget},
          {"tokens", saved.num_tokens},
          {"num_layers", saved.shape.num_layers},
          {"num_kv_heads", saved.shape.num_kv_heads},
          {"head_dim", saved.shape.head_dim},
          {"dtype", dtype_name(saved.shape.dtype)},
          {"kv_bytes", saved.kv_bytes},
          {"file_bytes", saved.file_bytes},
          {"kept_share", saved.kept_share()},
          {"tokens_kept", saved.lengths}};
}

}  // namespace tca::cli
