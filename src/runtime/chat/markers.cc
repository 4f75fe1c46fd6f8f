#include "runtime/chat/markers.h"

#include <algorithm>
#include <array>

#include "runtime/tokenizer/added_tokens.h"

namespace tca::runtime {
namespace {

constexpr std::string_view kWideBar = "｜";  // U+FF5C, in DeepSeek's markers
constexpr std::size_t kMaxMarkerBytes = 80;

constexpr std::array<std::string_view, 14> kRoles = {"system",      "user",      "assistant", "tool",   "function",
                                                     "functions",   "developer", "human",     "model",  "bot",
                                                     "observation", "ipython",   "critic",    "context"};

bool names_role(std::string_view marker, std::string_view bar) {
  const std::string_view name = marker.substr(1 + bar.size(), marker.size() - 2 - 2 * bar.size());
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return std::find(kRoles.begin(), kRoles.end(), lower) != kRoles.end();
}

// The marker <|...|> that begins at `at`, with that bar; "" where there is none.
std::string_view marker_at(std::string_view text, std::size_t at, std::string_view bar) {
  const std::size_t begin = at + 1 + bar.size();
  if (text.substr(at + 1, bar.size()) != bar) return {};
  const std::size_t close = text.find(std::string(bar) + ">", begin);
  if (close == std::string_view::npos || close == begin || close - begin > kMaxMarkerBytes) return {};
  const std::string_view name = text.substr(begin, close - begin);
  if (name.find_first_of("<> \t\r\n") != std::string_view::npos) return {};
  return text.substr(at, close + bar.size() + 1 - at);
}

bool is_token(const Tokenizer& tokenizer, std::string_view text) {
  const auto id = tokenizer.token_id(text);
  return id && tokenizer.is_added(*id);
}

}  // namespace

bool is_marker(std::string_view token) {
  return token.find_first_of("<>[]{}|") != std::string_view::npos || token.find(kWideBar) != std::string_view::npos;
}

bool is_bar_marker(std::string_view token) {
  return !token.empty() && (marker_at(token, 0, "|") == token || marker_at(token, 0, kWideBar) == token);
}

std::vector<Range> trusted_stretches(const jinja::Text& text) {
  std::vector<Range> stretches;
  std::size_t done = 0;
  for (const jinja::Span& span : text.foreign()) {
    if (done < span.begin) stretches.push_back({done, span.begin});
    done = span.end;
  }
  if (done < text.size()) stretches.push_back({done, text.size()});
  return stretches;
}

std::vector<FoundToken> find_markers(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<FoundToken> found = tokenizer.find_added(text);
  std::erase_if(found, [&](const FoundToken& token) {
    return !tokenizer.is_special(token.id) && !is_marker(text.substr(token.range.begin, token.range.size()));
  });
  return found;
}

std::optional<std::string> missing_marker(const Tokenizer& tokenizer, const jinja::Text& text,
                                          std::span<const std::string> declared) {
  for (const Range& range : trusted_stretches(text)) {
    const std::string_view stretch = std::string_view(text.bytes()).substr(range.begin, range.size());
    for (std::size_t at = stretch.find('<'); at != std::string_view::npos; at = stretch.find('<', at + 1)) {
      for (const std::string_view bar : {std::string_view("|"), kWideBar}) {
        const std::string_view marker = marker_at(stretch, at, bar);
        if (marker.empty() || names_role(marker, bar) || is_token(tokenizer, marker)) continue;
        return std::string(marker);
      }
    }
    for (const std::string& token : declared) {
      if (!token.empty() && stretch.find(token) != std::string_view::npos && !is_token(tokenizer, token)) return token;
    }
  }
  return std::nullopt;
}

std::string_view leading_tag(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos || (text[begin] != '<' && text[begin] != '[')) return {};
  const std::size_t end = text.find(text[begin] == '<' ? '>' : ']', begin);
  if (end == std::string_view::npos || end - begin > kMaxMarkerBytes) return {};
  const std::string_view tag = text.substr(begin, end + 1 - begin);
  return tag.find_first_of(" \t\r\n") == std::string_view::npos ? tag : std::string_view();
}

}  // namespace tca::runtime
