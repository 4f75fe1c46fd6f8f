#include "core/file_kind.h"

#include <algorithm>

namespace tca {
namespace {

struct Kind {
  std::string_view beginning;
  const char* description;
};
constexpr Kind kKinds[] = {
    {"version https://git-lfs.github.com/spec/",
     "a Git LFS pointer, not the file that it stands for; run `git lfs pull` in its folder, or download the file"},
    {"GGUF", "a GGUF file, which stands for a whole model; give its own path where a model is asked for"},
    {"PK\x03\x04", "a ZIP archive or a file of PyTorch's; expected .safetensors and .json files"},
    {"\x80\x02", "a Python pickle of PyTorch's; expected .safetensors and .json files"},
    {"\xff\xfe", "text in UTF-16; save it as UTF-8"},
    {"\xfe\xff", "text in UTF-16; save it as UTF-8"},
};

// Nothing but zeros is what an interrupted download leaves of a file whose space was taken beforehand.
constexpr std::string_view kZeros("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);

bool is_markup(std::string_view content) {
  if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);
  content.remove_prefix(std::min(content.size(), content.find_first_not_of(" \t\r\n")));
  std::string lower(content.substr(0, 9));
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower == "<!doctype" || lower.starts_with("<html") || lower.starts_with("<head") || lower.starts_with("<?xml");
}

}  // namespace

std::string describe_foreign_content(std::string_view content) {
  if (content.empty()) return "empty; download or write it again";
  if (is_markup(content)) {
    return "a web page (HTML), not the file; a server answered the download with it: download the file itself";
  }
  if (content.starts_with(kZeros)) return "full of zeros: its download did not end; download it again";
  for (const Kind& kind : kKinds) {
    if (content.starts_with(kind.beginning)) return kind.description;
  }
  return "";
}

}  // namespace tca
