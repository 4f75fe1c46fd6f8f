// Marker tokens of chat forms: which texts are meant as tokens, and whether a tokenizer has them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/jinja/text.h"
#include "runtime/tokenizer/tokenizer.h"

namespace tca::runtime {

/// Is an added token a marker, or the spelling of text (runs of spaces, words)?
bool is_marker(std::string_view token);

/// Is it <|...|>, which no text is spelled with?
bool is_bar_marker(std::string_view token);

/// The stretches of a text that the template wrote, in order.
std::vector<Range> trusted_stretches(const jinja::Text& text);

/// Added tokens that are special or markers, in order.
std::vector<FoundToken> find_markers(const Tokenizer& tokenizer, std::string_view text);

/// The first text in the stretches that the template wrote which is meant as a token (<|im_end|>, or one of declared)
/// and is none. Markers that name a role may be text: they are in Zephyr, TinyLlama and OLMo.
std::optional<std::string> missing_marker(const Tokenizer& tokenizer, const jinja::Text& text,
                                          std::span<const std::string> declared);

/// A tag (<end_of_turn>, [/INST]) that a text begins with, white space aside; "" where it begins with none.
std::string_view leading_tag(std::string_view text);

}  // namespace tca::runtime
