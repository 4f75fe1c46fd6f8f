#include "runtime/tokenizer/tokenizer.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "core/check.h"
#include "core/file.h"
#include "core/json.h"
#include "runtime/gguf/gguf_file.h"
#include "runtime/gguf/gguf_tokenizer.h"
#include "runtime/io/model_folder.h"
#include "runtime/tokenizer/added_tokens.h"
#include "runtime/tokenizer/bpe.h"
#include "runtime/tokenizer/declared_tokens.h"
#include "runtime/tokenizer/decoder.h"
#include "runtime/tokenizer/normalizer.h"
#include "runtime/tokenizer/post_processor.h"
#include "runtime/tokenizer/pre_tokenizer.h"
#include "runtime/tokenizer/unicode.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;

const json& field_or_null(const json& config, const char* field) {
  static const json null;
  const auto found = config.find(field);
  return found == config.end() ? null : *found;
}

}  // namespace

struct Tokenizer::Impl {
  struct Token {
    std::string text;  // what the decoder gets
    bool exists = false, added = false, special = false;
  };

  Normalizer normalizer;
  AddedTokens added;
  PreTokenizer pre_tokenizer;
  Bpe model;
  PostProcessor post_processor;
  Decoder decoder;
  std::vector<Token> tokens;  // by id
  std::unordered_map<std::string, std::int32_t> added_ids;
  mutable std::mutex cache_mutex;
  mutable WordCache shared_cache;

  /// declared: added tokens from other files than this one. scores: by which pairs are merged (Bpe), or empty.
  Impl(const json& config, const std::string& file, const std::vector<AddedToken>& declared,
       std::span<const float> scores = {});
  void index_tokens(const std::string& file);
  std::vector<std::int32_t> encode(const MixedText& text, TextStart start) const;
  bool is_control(const AddedToken& token, const MixedText& text) const {
    return token.special || (text.controls != nullptr && text.controls->count(token.id) > 0);
  }
  std::vector<Range> outside_normalized(const MixedText& text, const Range& stretch, std::string_view normalized,
                                        bool prepends) const;
  void encode_stretch(std::string_view text, TextStart start, WordCache& cache, std::vector<std::int32_t>& ids) const;
};

Tokenizer::Impl::Impl(const json& config, const std::string& file, const std::vector<AddedToken>& declared,
                      std::span<const float> scores) {
  if (!config.is_object()) fail(ErrorCategory::kBadFile, file + ": expected a JSON object");
  const std::string version = get_optional_string(config, "version", file).value_or("1.0");
  check_supported(version == "1.0", file, ": version is \"", version.substr(0, 40), "\"; supported: 1.0");
  const auto field = [&](const char* name) { return text(file, ": ", name, "."); };
  normalizer = Normalizer::parse(field_or_null(config, "normalizer"), field("normalizer"));
  pre_tokenizer = PreTokenizer::parse(field_or_null(config, "pre_tokenizer"), field("pre_tokenizer"));
  model = Bpe::parse(get_object(config, "model", file), pre_tokenizer.byte_level(), field("model"));
  if (!scores.empty()) model.merge_by_scores(scores);
  std::vector<AddedToken> tokens_of_text = parse_added_tokens(field_or_null(config, "added_tokens"), file);
  add_declared_tokens(declared, model.vocabulary(), tokens_of_text);
  added = AddedTokens(std::move(tokens_of_text), normalizer);
  index_tokens(file);
  post_processor = PostProcessor::parse(field_or_null(config, "post_processor"),
                                        static_cast<std::int32_t>(tokens.size()), field("post_processor"));
  decoder = Decoder::parse(field_or_null(config, "decoder"), field("decoder"));
}

void Tokenizer::Impl::index_tokens(const std::string& file) {
  const auto at = [&](std::int32_t id) -> Token& {
    const auto index = static_cast<std::size_t>(id);
    if (index >= tokens.size()) tokens.resize(index + 1);
    return tokens[index];
  };
  const auto& vocabulary = model.vocabulary();
  tokens.resize(vocabulary.size());
  for (const auto& [token, id] : vocabulary) at(id) = {token, true, false, false};
  for (const AddedToken& token : added.tokens()) {
    const auto known = vocabulary.find(token.content);
    Token& entry = at(token.id);
    const bool agrees = known == vocabulary.end() ? !entry.exists : known->second == token.id;
    if (!agrees) {
      fail_field(file, "added_tokens: the id of " + json(token.content).dump(-1, ' ', true), token.id,
                 "the id that model.vocab gives this token, or one that it gives to no other");
    }
    added_ids.emplace(token.content, token.id);
    if (token.special || !token.single_word) model.never_take_whole(token.id);
    // A token that is found after normalisation is decoded from its normalised form.
    entry = {token.normalized ? normalizer.apply(token.content, true) : token.content, true, true, token.special};
  }
  if (tokens.empty()) fail(ErrorCategory::kBadFile, file + ": model.vocab has no token");
}

namespace {

bool overlaps(const std::vector<Range>& sorted, std::size_t begin, std::size_t end) {
  const auto after = std::partition_point(sorted.begin(), sorted.end(), [&](const Range& r) { return r.end <= begin; });
  return after != sorted.end() && after->begin < end;
}

}  // namespace

// Which bytes of a normalised stretch came from outside. A boundary may move when characters on both sides compose: a
// byte counts as the form's own only where normalising that side alone gives it, too.
std::vector<Range> Tokenizer::Impl::outside_normalized(const MixedText& text, const Range& stretch,
                                                       std::string_view normalized, bool prepends) const {
  std::vector<Range> outside;
  const auto first = std::partition_point(text.outside.begin(), text.outside.end(),
                                          [&](const Range& r) { return r.end <= stretch.begin; });
  for (auto range = first; range != text.outside.end() && range->begin < stretch.end; ++range) {
    const std::size_t begin = std::max(range->begin, stretch.begin);
    const std::size_t end = std::min(range->end, stretch.end);
    if (normalizer.is_identity()) {
      outside.push_back({begin - stretch.begin, end - stretch.begin});
      continue;
    }
    const std::string before = normalizer.apply(text.bytes.substr(stretch.begin, begin - stretch.begin), prepends);
    const std::string after = normalizer.apply(text.bytes.substr(end, stretch.end - end), false);
    const auto from = std::mismatch(normalized.begin(), normalized.end(), before.begin(), before.end()).first;
    const auto to = std::mismatch(normalized.rbegin(), normalized.rend(), after.rbegin(), after.rend()).first.base();
    const Range mapped = {static_cast<std::size_t>(from - normalized.begin()),
                          static_cast<std::size_t>(to - normalized.begin())};
    if (mapped.begin < mapped.end) outside.push_back(mapped);
  }
  return outside;
}

std::vector<std::int32_t> Tokenizer::Impl::encode(const MixedText& text, TextStart start) const {
  // Whoever comes first works with the shared cache; others, at the same time, with one of their own.
  std::unique_lock lock(cache_mutex, std::try_to_lock);
  WordCache own_cache;
  WordCache& cache = lock.owns_lock() ? shared_cache : own_cache;

  std::vector<std::int32_t> ids;
  ids.reserve(text.bytes.size() / 4 + 16);
  const auto accepts = [&](const AddedToken& token, std::size_t begin, std::size_t end) {
    return !is_control(token, text) || !overlaps(text.outside, begin, end);
  };
  for (const AddedSplit& outer : added.split(text.bytes, false, accepts)) {
    if (outer.id) {
      ids.push_back(*outer.id);
      continue;
    }
    const TextStart outer_start = outer.range.begin == 0 ? start : TextStart::kAfterToken;
    const bool prepends = outer_start != TextStart::kContinues;
    std::string normalized;
    std::string_view stretch = text.bytes.substr(outer.range.begin, outer.range.size());
    if (!normalizer.is_identity()) {
      normalized = normalizer.apply(stretch, prepends);
      stretch = normalized;
    }
    std::optional<std::vector<Range>> outside;  // rarely asked for
    const auto accepts_normalized = [&](const AddedToken& token, std::size_t begin, std::size_t end) {
      if (!is_control(token, text)) return true;
      if (!outside) outside = outside_normalized(text, outer.range, stretch, prepends);
      return !overlaps(*outside, begin, end);
    };
    for (const AddedSplit& inner : added.split(stretch, true, accepts_normalized)) {
      if (inner.id) {
        ids.push_back(*inner.id);
      } else {
        encode_stretch(stretch.substr(inner.range.begin, inner.range.size()),
                       inner.range.begin == 0 ? outer_start : TextStart::kAfterToken, cache, ids);
      }
    }
  }
  return ids;
}

void Tokenizer::Impl::encode_stretch(std::string_view text, TextStart start, WordCache& cache,
                                     std::vector<std::int32_t>& ids) const {
  const Pieces pieces = pre_tokenizer.split(std::string(text), start);
  for (const Range& range : pieces.ranges) model.encode(pieces.view(range), cache, ids);
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::load(const std::string& path) {
  if (const std::string gguf = find_gguf(path); !gguf.empty()) {
    const GgufTokenizer stored = gguf_tokenizer(GgufFile::open(gguf).metadata());
    return Tokenizer(std::make_unique<Impl>(*stored.json, gguf, std::vector<AddedToken>(), stored.scores));
  }
  const std::string file = path + "/tokenizer.json";
  if (!has_entry(file)) fail_without(path, ModelPart::kTokenizer);
  const JsonDocument config(parse_json(read_file(file, kMaxFileBytes), file));
  return Tokenizer(std::make_unique<Impl>(*config, file, read_declared_tokens(path)));
}

Tokenizer Tokenizer::parse(const std::string& content, const std::string& name_for_errors,
                           const std::string& tokenizer_config) {
  const std::string config_name = "tokenizer_config.json";
  const JsonDocument beside(parse_python_json(tokenizer_config, config_name));
  const JsonDocument config(parse_json(content, name_for_errors));
  const auto declared = parse_declared_tokens(*beside, config_name);
  return Tokenizer(std::make_unique<Impl>(*config, name_for_errors, declared));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  std::string repaired;
  std::vector<std::int32_t> ids = impl_->encode({.bytes = repair_utf8(text, repaired)}, TextStart::kText);
  if (add_special_tokens) {
    const PostProcessor& around = impl_->post_processor;
    ids.insert(ids.begin(), around.before.begin(), around.before.end());
    ids.insert(ids.end(), around.after.begin(), around.after.end());
  }
  return ids;
}

std::vector<std::int32_t> Tokenizer::encode_plain(std::string_view text, TextStart start) const {
  std::string repaired;
  const std::string_view bytes = repair_utf8(text, repaired);
  return impl_->encode({.bytes = bytes, .outside = {{0, bytes.size()}}}, start);
}

std::vector<std::int32_t> Tokenizer::encode_mixed(const MixedText& text, TextStart start) const {
  return impl_->encode(text, start);
}

std::vector<FoundToken> Tokenizer::find_added(std::string_view text) const {
  std::vector<FoundToken> found;
  const auto accepts = [](const AddedToken&, std::size_t, std::size_t) { return true; };
  for (const AddedSplit& outer : impl_->added.split(text, false, accepts)) {
    if (outer.id) {
      found.push_back({*outer.id, outer.range});
      continue;
    }
    const std::string_view stretch = text.substr(outer.range.begin, outer.range.size());
    if (impl_->normalizer.apply(stretch, true) != stretch) continue;
    for (const AddedSplit& inner : impl_->added.split(stretch, true, accepts)) {
      if (!inner.id) continue;
      found.push_back({*inner.id, {outer.range.begin + inner.range.begin, outer.range.begin + inner.range.end}});
    }
  }
  return found;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  StreamDecoder decoder(*this, skip_special_tokens);
  std::string text;
  for (const std::int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

std::int32_t Tokenizer::vocab_size() const { return static_cast<std::int32_t>(impl_->tokens.size()); }

std::optional<std::int32_t> Tokenizer::token_id(std::string_view token) const {
  const std::string name(token);
  const auto added = impl_->added_ids.find(name);
  if (added != impl_->added_ids.end()) return added->second;
  const auto found = impl_->model.vocabulary().find(name);
  return found == impl_->model.vocabulary().end() ? std::nullopt : std::optional(found->second);
}

bool Tokenizer::is_special(std::int32_t id) const {
  return id >= 0 && id < vocab_size() && impl_->tokens[static_cast<std::size_t>(id)].special;
}

bool Tokenizer::is_added(std::int32_t id) const {
  return id >= 0 && id < vocab_size() && impl_->tokens[static_cast<std::size_t>(id)].added;
}

const std::vector<AddedToken>& Tokenizer::added_tokens() const { return impl_->added.tokens(); }

struct StreamDecoder::Impl {
  const Tokenizer::Impl* tokenizer;
  bool skip_special_tokens;
  std::string out;
  std::unique_ptr<DecodeStage> stages;

  std::string take() { return std::exchange(out, std::string()); }
};

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens)
    : impl_(std::make_unique<Impl>(Impl{tokenizer.impl_.get(), skip_special_tokens, {}, nullptr})) {
  impl_->stages = impl_->tokenizer->decoder.start(impl_->out);
}
StreamDecoder::~StreamDecoder() = default;

std::string StreamDecoder::push(std::int32_t id) {
  const auto& tokens = impl_->tokenizer->tokens;
  if (id < 0 || static_cast<std::size_t>(id) >= tokens.size()) return {};
  const auto& token = tokens[static_cast<std::size_t>(id)];
  if (!token.exists || (token.special && impl_->skip_special_tokens)) return {};
  impl_->stages->text(token.text);
  impl_->stages->end_token();
  return impl_->take();
}

std::string StreamDecoder::finish() {
  impl_->stages->finish();
  return impl_->take();
}

}  // namespace tca::runtime
