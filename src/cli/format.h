// Numbers as people read them, and byte sizes as people type them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tca::cli {

std::string format_count(std::int64_t count);                    // 32,768
std::string counted(std::int64_t count, std::string_view what);  // 1 token, 2 tokens: a noun whose plural has an s
std::string format_bytes(std::uint64_t bytes);                   // 512 B, 12.3 MiB
std::string format_seconds(double seconds);                      // 85 ms, 12.3 s, 2 min 05 s
std::string format_percent(double share);                        // 19 %, 0.4 %
std::string format_rate(double tokens_per_second);               // 81.2 tokens/s, 2,707 tokens/s

/// "1073741824", "512M", "1.5G", "64KiB"; K, M, G and T are powers of 1024. Throws kInvalidArgument naming the text.
std::uint64_t parse_byte_size(std::string_view text);

}  // namespace tca::cli
