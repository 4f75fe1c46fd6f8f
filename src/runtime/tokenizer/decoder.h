// The "decoder" of tokenizer.json, one token at a time: what whole texts and streams are decoded with.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/tokenizer/normalizer.h"

namespace tca::runtime {

/// One step between tokens and text. A token's text comes in one or more whole characters at a time.
class DecodeStage {
 public:
  virtual ~DecodeStage() = default;
  virtual void text(std::string_view part) = 0;
  virtual void end_token() = 0;
  virtual void finish() = 0;  // no token follows
};

class Decoder {
 public:
  /// null joins tokens with spaces. Throws kUnsupported naming a type that is not supported.
  static Decoder parse(const nlohmann::json& config, const std::string& where);
  /// The steps for one text, writing to out, which must outlive them.
  std::unique_ptr<DecodeStage> start(std::string& out) const;

 private:
  struct ByteLevel {};
  struct ByteFallback {};
  struct Fuse {};
  struct JoinWithSpaces {};
  struct Metaspace {
    char32_t replacement;
    bool drops_first;  // of the first token: the space that encoding put there
  };
  struct Strip {
    char32_t content;
    std::size_t start, stop;
  };
  using Step = std::variant<ByteLevel, ByteFallback, Fuse, JoinWithSpaces, Metaspace, Strip, Replacement>;

  void add(const nlohmann::json& config, const std::string& where);
  std::vector<Step> steps_;
};

}  // namespace tca::runtime
