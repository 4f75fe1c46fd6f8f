#include "core/utf8.h"

#include <cstdint>
#include <cstring>

namespace tca {
namespace {

std::size_t ascii_prefix(std::string_view text) {
  std::size_t n = 0;
  for (std::uint64_t word; n + sizeof(word) <= text.size(); n += sizeof(word)) {
    std::memcpy(&word, text.data() + n, sizeof(word));
    if ((word & 0x8080808080808080u) != 0) break;
  }
  while (n < text.size() && static_cast<unsigned char>(text[n]) < 0x80) ++n;
  return n;
}

}  // namespace

Utf8Sequence scan_utf8(std::string_view bytes, std::size_t position) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[position + i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, true, false};
  const std::size_t size = lead < 0xC2 || lead > 0xF4 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (size == 0) return {1, false, false};
  // The second byte's range excludes overlong forms, surrogates and what lies above U+10FFFF.
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < size; ++i) {
    if (position + i == bytes.size()) return {i, false, true};
    const bool continues = i == 1 ? byte(1) >= low && byte(1) <= high : (byte(i) & 0xC0) == 0x80;
    if (!continues) return {i, false, false};
  }
  return {size, true, false};
}

std::string_view repair_utf8(std::string_view text, std::string& storage) {
  std::size_t position = 0;
  std::size_t copied = 0;  // text[0, copied) is in storage, if anything was wrong
  bool broken = false;
  while (true) {
    position += ascii_prefix(text.substr(position));
    if (position == text.size()) break;
    const Utf8Sequence sequence = scan_utf8(text, position);
    if (!sequence.valid) {
      if (!broken) storage.clear();
      broken = true;
      storage.append(text, copied, position - copied);
      storage += kReplacementCharacter;
      copied = position + sequence.size;
    }
    position += sequence.size;
  }
  if (!broken) return text;
  storage.append(text, copied, text.size() - copied);
  return storage;
}

char32_t next_code_point(std::string_view text, std::size_t& position) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[position + i]));
  };
  const char32_t lead = byte(0);
  char32_t result = lead;
  std::size_t size = 1;
  if (lead >= 0xF0) {
    result = (lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    size = 4;
  } else if (lead >= 0xE0) {
    result = (lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    size = 3;
  } else if (lead >= 0x80) {
    result = (lead & 0x1F) << 6 | (byte(1) & 0x3F);
    size = 2;
  }
  position += size;
  return result;
}

std::size_t previous_start(std::string_view text, std::size_t end) {
  do {
    --end;
  } while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  return end;
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
    return;
  }
  if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      out += static_cast<char>(0xE0 | c >> 12);
    } else {
      out += static_cast<char>(0xF0 | c >> 18);
      out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    }
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
  }
  out += static_cast<char>(0x80 | (c & 0x3F));
}

}  // namespace tca
