// Files that tests make up, right and wrong.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

namespace tca::testing {

inline void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// A safetensors file: the length of the header, the header, the data.
inline std::string safetensors(std::string_view header, std::string_view data) {
  std::string file;
  for (int shift = 0; shift < 64; shift += 8) file += static_cast<char>(std::uint64_t{header.size()} >> shift & 0xFF);
  return file.append(header).append(data);
}

}  // namespace tca::testing
