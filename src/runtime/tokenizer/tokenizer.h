// Tokenizers of Hugging Face and GGUF files: byte-level BPE with Split regexes, and Metaspace BPE with byte fallback.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "runtime/tokenizer/regex.h"

namespace tca::runtime {

/// Valid UTF-8, parts of which came from outside: there, special tokens and those of `controls` stay text.
struct MixedText {
  std::string_view bytes;
  std::vector<Range> outside = {};  // sorted, apart from each other
  const std::unordered_set<std::int32_t>* controls = nullptr;
};

struct AddedToken;

/// An added token and where it stands in a text, white space that it strips included.
struct FoundToken {
  std::int32_t id;
  Range range;
};

/// Where a text stands. A leading space that a tokenizer adds to texts depends on it.
enum class TextStart {
  kText,        // at the very beginning
  kAfterToken,  // after a token that is not text
  kContinues,   // in the middle: it goes on from other text
};

/// Immutable: any number of threads may encode and decode with one object.
class Tokenizer {
 public:
  /// Reads the folder's tokenizer.json, and the added tokens of tokenizer_config.json; or the metadata of a GGUF file
  /// or the folder of one. Throws tca::Error naming file, field and value for what is broken or not supported.
  static Tokenizer load(const std::string& path);
  /// From the texts of both files.
  static Tokenizer parse(const std::string& json, const std::string& name_for_errors,
                         const std::string& tokenizer_config = "{}");
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Token ids of text (any bytes; broken UTF-8 becomes U+FFFD as in the tokenizers package). Added tokens written in
  /// the text are recognised. add_special_tokens applies the post-processor (e.g. the leading BOS).
  std::vector<std::int32_t> encode(std::string_view text, bool add_special_tokens) const;
  /// The same for text that comes from outside a chat form: special tokens written in it stay plain text.
  /// Other added tokens (runs of spaces, say) are how the model spells text: they are still recognised.
  std::vector<std::int32_t> encode_plain(std::string_view text, TextStart start = TextStart::kText) const;
  /// The same where only parts of the text come from outside. Stretches between tokens are encoded as one, whoever
  /// wrote them.
  std::vector<std::int32_t> encode_mixed(const MixedText& text, TextStart start = TextStart::kText) const;
  /// The added tokens that encode recognises in a text of the form's own, in order. Those that are looked for after
  /// normalisation are left out where normalising changes the text.
  std::vector<FoundToken> find_added(std::string_view text) const;
  /// Text of ids, one after the other; ids that are no token are left out.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens = true) const;
  /// The largest id plus one.
  std::int32_t vocab_size() const;
  std::optional<std::int32_t> token_id(std::string_view token) const;
  bool is_special(std::int32_t id) const;
  /// Is it found in text before anything else, special or not?
  bool is_added(std::int32_t id) const;
  const std::vector<AddedToken>& added_tokens() const;  // runtime/tokenizer/added_tokens.h

 private:
  friend class StreamDecoder;
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Turns ids into text one at a time, holding back bytes that do not end a UTF-8 character yet.
class StreamDecoder {
 public:
  /// tokenizer must outlive it.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens = true);
  ~StreamDecoder();
  std::string push(std::int32_t id);  // text that is complete now, possibly empty
  std::string finish();               // what was held back, with U+FFFD for broken bytes

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tca::runtime
