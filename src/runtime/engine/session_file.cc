// Session files: the KV cache with a JSON text beside it (format tca-session/2) that holds the model's fingerprint, the
// token ids, the probes and the user's text. The file is untrusted when it is read back.
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "core/check.h"
#include "core/json.h"
#include "runtime/engine/selection.h"
#include "runtime/engine/session_impl.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "tca-session/2";

// ---- Bytes as hexadecimal text ----

std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    hex += kDigits[std::to_integer<std::size_t>(byte >> 4)];
    hex += kDigits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return hex;
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::vector<std::byte> from_hex(const json& object, const char* field, const std::string& where, std::size_t bytes) {
  const std::string hex = get_string(object, field, where);
  const std::string expected = text(2 * bytes, " hexadecimal digits");
  if (hex.size() != 2 * bytes) fail_field(where, text(field, ".size"), hex.size(), expected);
  std::vector<std::byte> result(bytes);
  for (std::size_t i = 0; i < bytes; ++i) {
    const int high = digit_value(hex[2 * i]), low = digit_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) fail_field(where, field, hex.substr(2 * i, 2), expected);
    result[i] = static_cast<std::byte>(high * 16 + low);
  }
  return result;
}

// ---- Model ----

void write_model(json& out, const Model& model) {
  const ModelFingerprint shape = model.fingerprint();
  out = json::object();
  out["architecture"] = shape.architecture;
  out["num_layers"] = shape.num_layers;
  out["num_heads"] = shape.num_heads;
  out["num_kv_heads"] = shape.num_kv_heads;
  out["head_dim"] = shape.head_dim;
  out["rope"] = shape.rope;
  out["vocab_size"] = shape.vocab_size;
  out["weights_sha256"] = shape.weights_sha256;
  out["content_hash"] = model.content_hash();
}

ModelFingerprint fingerprint_from(const json& object, const std::string& where) {
  const auto number = [&](const char* field) {
    return static_cast<std::int32_t>(get_int(object, field, where, 0, INT32_MAX));
  };
  return {.architecture = get_string(object, "architecture", where),
          .num_layers = number("num_layers"),
          .num_heads = number("num_heads"),
          .num_kv_heads = number("num_kv_heads"),
          .head_dim = number("head_dim"),
          .rope = get_string(object, "rope", where),
          .vocab_size = number("vocab_size"),
          .weights_sha256 = get_string(object, "weights_sha256", where)};
}

/// The cache belongs to a shape and to the weights' content; in which files they lie does not matter.
void check_model(const json& object, const Model& model, const std::string& where) {
  const std::string at = where + ": model.";
  const ModelFingerprint saved = fingerprint_from(object, at), actual = model.fingerprint();
  ModelFingerprint of_these_files = saved;
  of_these_files.weights_sha256 = actual.weights_sha256;
  check_argument(of_these_files == actual, where, ": saved with the model ", saved.describe(), ", but this is ",
                 actual.describe());
  const std::string content = get_string(object, "content_hash", at);
  check_argument(content == model.content_hash(), where, ": saved with other weights, whose content_hash is ",
                 content.substr(0, 40), " (", saved.describe(), "), but this model's is ", model.content_hash(), " (",
                 actual.describe(), ")");
}

// ---- Profile: which configuration the cache was made with, and what --tolerance made of it ----

void write_profile(json& out, const SessionOptions& options) {
  const Selection selection(*options.profile, options.keep, options.attend, options.objective);
  const SelectionRule& rule = selection.rule();
  const ProfileBudget* const budget = selection.budget();
  out = json::object();
  out["objective"] = selection.name();
  out["budget"] = budget == nullptr ? options.keep : budget->budget;
  out["kept_share"] = budget == nullptr ? options.keep : budget->kept_share;
  out["text_sha256"] = options.profile->text_sha256;
  out["block_size"] = rule.block_size;
  out["window"] = rule.window;
  out["sinks"] = rule.sinks;
  out["probe_queries"] = rule.probe_queries;
  out["pool_width"] = rule.pool_width;
  out["order"] = static_cast<int>(rule.order);
}

template <class T>
void write_numbers(json& out, const std::vector<T>& numbers) {
  out = json::array();
  for (const T number : numbers) out.emplace_back(number);
}

void write_shares(json& out, const LayerShares& layers) {
  out = json::array();
  for (const std::vector<BlockShares>& heads : layers) {
    json& layer = out.emplace_back(json::array());
    for (const BlockShares& head : heads) write_numbers(layer.emplace_back(nullptr), head.share);
  }
}

/// Shares of the same shape as `like`, each a distribution.
LayerShares shares_from(const json& object, const char* field, const std::string& where, const LayerShares& like) {
  const json& layers = get_array(object, field, where);
  const auto refuse = [&](const std::string& at, const json& value) {
    fail_field(where, field + at, value, "shares of every layer and KV head in [0, 1] that sum to 1");
  };
  if (layers.size() != like.size()) refuse(".size", layers.size());
  LayerShares result = like;
  for (std::size_t l = 0; l < result.size(); ++l) {
    const std::string at = text("[", l, "]");
    if (!layers[l].is_array() || layers[l].size() != result[l].size()) refuse(at, layers[l]);
    for (std::size_t h = 0; h < result[l].size(); ++h) {
      const json& head = layers[l][h];
      std::vector<double>& shares = result[l][h].share;
      if (!head.is_array() || head.size() != shares.size()) refuse(text(at, "[", h, "]"), head);
      double sum = 0;
      for (std::size_t i = 0; i < shares.size(); ++i) {
        if (!head[i].is_number() || head[i].get<double>() < 0 || head[i].get<double>() > 1) {
          refuse(text(at, "[", h, "][", i, "]"), head[i]);
        }
        shares[i] = head[i].get<double>();
        sum += shares[i];
      }
      if (sum < 1 - 1e-6 || sum > 1 + 1e-6) refuse(text(at, "[", h, "]"), head);
    }
  }
  return result;
}

// ---- Probes ----

void write_probes(json& out, const ProbeRings& probes, std::int32_t capacity) {
  out = json::object();
  out["capacity"] = capacity;
  out["size"] = probes.place().size;
  out["next_slot"] = probes.place().next_slot;
  json& layers = out["layers"] = json::array();
  const ProbeRings::Content content = probes.download();
  for (std::size_t l = 0; l < content.queries.size(); ++l) {
    json& layer = layers.emplace_back(json::object());
    layer["queries"] = to_hex(content.queries[l]);
    layer["lse"] = to_hex(content.lse[l]);
  }
}

/// Rings of the file. Probes of another capacity are left behind: those of the next turn score the tail then.
void restore_probes(const json& object, const std::string& where, const SelectionRule& rule, ProbeRings& probes) {
  const std::int64_t capacity = get_int(object, "capacity", where, 1, INT32_MAX);
  if (capacity != rule.probe_queries) return;
  const std::int64_t size = get_int(object, "size", where, 0, capacity);
  const std::int64_t next_slot = get_int(object, "next_slot", where, 0, capacity - 1);
  const json& layers = get_array(object, "layers", where);
  const std::size_t num_layers = probes.targets().size();
  if (layers.size() != num_layers) fail_field(where, "layers.size", layers.size(), text(num_layers));
  ProbeRings::Content content;
  for (std::size_t l = 0; l < num_layers; ++l) {
    const std::string at = text(where, "layers[", l, "].");
    const auto count = static_cast<std::size_t>(size);
    content.queries.push_back(from_hex(layers[l], "queries", at, count * probes.bytes_per_query()));
    content.lse.push_back(from_hex(layers[l], "lse", at, count * probes.bytes_per_lse()));
  }
  probes.upload(content, {size, next_slot});
}

std::vector<std::int32_t> tokens_from(const json& object, const std::string& where, const ModelConfig& config) {
  const json& array = get_array(object, "tokens", where);
  std::vector<std::int32_t> tokens;
  tokens.reserve(array.size());
  for (std::size_t i = 0; i < array.size(); ++i) {
    const bool known = array[i].is_number_integer() && array[i].get<std::int64_t>() >= 0 &&
                       array[i].get<std::int64_t>() < config.vocab_size;
    if (!known) fail_field(where, text("tokens[", i, "]"), array[i], text("an id below ", config.vocab_size));
    tokens.push_back(array[i].get<std::int32_t>());
  }
  return tokens;
}

void check_shape(const KvShape& stored, const KvShape& expected) {
  const auto describe = [](const KvShape& s) {
    return text(s.num_layers, " layers, ", s.num_kv_heads, " KV heads, head_dim ", s.head_dim, ", ", s.dtype);
  };
  check_argument(stored == expected, "the saved KV cache has ", describe(stored), "; this session has ",
                 describe(expected));
}

}  // namespace

void Session::save(const std::string& path, const std::string& user_text) const {
  const Impl& impl = *impl_;
  check_supported(impl.options.selector == nullptr,
                  "a session with a selector of its own cannot be saved; only one of a profile or of full attention");
  JsonDocument document;
  json& object = *document;
  object["format"] = kFormat;
  write_model(object["model"], *impl.model);
  write_numbers(object["tokens"], impl.state.tokens);
  object["user_text"] = user_text;
  if (impl.state.long_context) object["long_context"] = true;
  json& profile = object["profile"];  // null without one
  if (impl.options.profile != nullptr) {
    write_profile(profile, impl.options);
    write_shares(object["keep"], impl.state.shares.keep);
    write_shares(object["attend"], impl.state.shares.attend);
    write_probes(object["probes"], impl.state.probes, impl.selector->rule().probe_queries);
  }
  std::string metadata;
  try {
    metadata = object.dump();
  } catch (const json::type_error&) {
    fail(ErrorCategory::kInvalidArgument, "user_text is not valid UTF-8");
  }
  impl.state.cache.save(path, metadata);
}

Session Session::load(const std::string& path, std::shared_ptr<const Model> model, const Backend& backend,
                      ThreadPool& pool, SessionOptions options, std::string* user_text) {
  auto impl = std::make_unique<Impl>(std::move(model), backend, pool, std::move(options));
  SessionState& state = impl->state;
  const ModelConfig& config = impl->model->config();
  const std::string& where = path;  // in front of every message, as core/json.h has it
  std::string saved_text;
  const auto accept = [&](const KvShape& shape, const std::string& metadata) {
    const JsonDocument document(parse_json(metadata, path));
    const json& object = *document;
    if (get_string(object, "format", where) != kFormat) {
      fail_field(where, "format", object["format"], text("a session file of format ", kFormat));
    }
    check_model(get_object(object, "model", where), *impl->model, where);
    check_shape(shape, impl->kv_shape());
    state.tokens = tokens_from(object, where, config);
    check_argument(static_cast<std::int64_t>(state.tokens.size()) <= impl->most_tokens(), where, ": holds ",
                   state.tokens.size(), " tokens, but the context is at most ", impl->most_tokens());
    saved_text = get_string(object, "user_text", where);
    state.long_context = get_optional_bool(object, "long_context", where).value_or(false);
    const json* const saved_profile = get_optional_object(object, "profile", where);
    if (impl->options.profile == nullptr || saved_profile == nullptr) return;
    restore_probes(get_object(object, "probes", where), where + ": probes.", impl->selector->rule(), state.probes);
    // Another configuration than the one the cache was made with takes over from here on.
    JsonDocument own_profile;
    write_profile(*own_profile, impl->options);
    if (*saved_profile != *own_profile) return;
    state.shares.keep = shares_from(object, "keep", where, state.shares.keep);
    state.shares.attend = shares_from(object, "attend", where, state.shares.attend);
  };
  state.cache = KvCache::load(path, state.cache.pool(), accept);
  for (std::int32_t layer = 0; layer < config.num_layers; ++layer) {
    const std::int64_t cached = state.cache.num_tokens(layer);
    if (cached != static_cast<std::int64_t>(state.tokens.size())) {
      fail(ErrorCategory::kBadFile, text(where, ": layer ", layer, " of the KV cache has seen ", cached,
                                         " tokens, but there are ", state.tokens.size(), " token ids"));
    }
  }
  if (user_text != nullptr) *user_text = std::move(saved_text);
  return Session(std::move(impl));
}

}  // namespace tca::runtime
