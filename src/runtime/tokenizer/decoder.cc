#include "runtime/tokenizer/decoder.h"

#include <algorithm>

#include "core/check.h"
#include "core/json.h"
#include "runtime/tokenizer/decode_stages.h"
#include "runtime/tokenizer/unicode.h"

namespace tca::runtime {
namespace {

using nlohmann::json;

// Enough for any decoder; bounds what a file can make every token cost.
constexpr std::size_t kMaxSteps = 32;
constexpr std::size_t kMaxReplacements = 2;  // each may make a token up to 64 times longer
constexpr std::int64_t kMaxStripped = 1024;

char32_t get_character(const json& config, const char* field, const std::string& where) {
  const std::string value = get_string(config, field, where);
  std::size_t position = 0;
  const char32_t character = value.empty() ? 0 : next_code_point(value, position);
  if (position == 0 || position != value.size()) fail_field(where, field, value, "one character");
  return character;
}

}  // namespace

Decoder Decoder::parse(const json& config, const std::string& where) {
  Decoder decoder;
  if (config.is_null()) {
    decoder.steps_.emplace_back(JoinWithSpaces{});
  } else {
    decoder.add(config, where);
  }
  return decoder;
}

void Decoder::add(const json& config, const std::string& where) {
  const std::string type = get_string(config, "type", where);
  check_supported(steps_.size() < kMaxSteps, where, "more than ", kMaxSteps, " decoders in a sequence");
  if (type == "Sequence") {
    for (const json& step : get_array(config, "decoders", where)) add(step, where);
  } else if (type == "ByteLevel") {
    steps_.emplace_back(ByteLevel{});
  } else if (type == "ByteFallback") {
    steps_.emplace_back(ByteFallback{});
  } else if (type == "Fuse") {
    steps_.emplace_back(Fuse{});
  } else if (type == "Metaspace") {
    const bool never = get_optional_string(config, "prepend_scheme", where).value_or("always") == "never" ||
                       !get_optional_bool(config, "add_prefix_space", where).value_or(true);
    steps_.emplace_back(Metaspace{get_character(config, "replacement", where), !never});
  } else if (type == "Strip") {
    steps_.emplace_back(Strip{get_character(config, "content", where),
                              static_cast<std::size_t>(get_int(config, "start", where, 0, kMaxStripped)),
                              static_cast<std::size_t>(get_int(config, "stop", where, 0, kMaxStripped))});
  } else if (type == "Replace") {
    const auto replacements = std::count_if(steps_.begin(), steps_.end(),
                                            [](const Step& step) { return std::holds_alternative<Replacement>(step); });
    check_supported(static_cast<std::size_t>(replacements) < kMaxReplacements, where, "more than ", kMaxReplacements,
                    " Replace decoders");
    steps_.emplace_back(Replacement::parse(config, where));
  } else {
    fail(ErrorCategory::kUnsupported,
         text(where, "type is \"", type.substr(0, 40),
              "\"; supported: ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, Strip"));
  }
}

std::unique_ptr<DecodeStage> Decoder::start(std::string& out) const {
  NextStage chain = std::make_unique<WriteStage>(out);
  struct Builder {
    NextStage& chain;
    void operator()(const ByteLevel&) { chain = std::make_unique<ByteLevelStage>(std::move(chain)); }
    void operator()(const ByteFallback&) { chain = std::make_unique<ByteFallbackStage>(std::move(chain)); }
    void operator()(const Fuse&) { chain = std::make_unique<FuseStage>(std::move(chain)); }
    void operator()(const JoinWithSpaces&) { chain = std::make_unique<JoinStage>(std::move(chain)); }
    void operator()(const Metaspace& m) {
      chain = std::make_unique<MetaspaceStage>(std::move(chain), m.replacement, m.drops_first);
    }
    void operator()(const Strip& s) {
      chain = std::make_unique<StripStage>(std::move(chain), s.content, s.start, s.stop);
    }
    void operator()(const Replacement& r) { chain = std::make_unique<ReplaceStage>(std::move(chain), r); }
  };
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) std::visit(Builder{chain}, *step);
  return chain;
}

}  // namespace tca::runtime
