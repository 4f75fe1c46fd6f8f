#include "cli/input.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "cli/format.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/utf8.h"
#include "core/file.h"

namespace tca::cli {

namespace {

// About 60M tokens of English: more than any model reads, little enough to hold.
constexpr std::size_t kMaxTextBytes = std::size_t{256} << 20;

std::string read_standard_input() {
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (got == 0) return text;
    if (stop_requested()) throw Error(ErrorCategory::kCancelled, "interrupted");
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw Error(ErrorCategory::kIo, fmt::format("cannot read standard input: {}", std::strerror(errno)));
    }
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > kMaxTextBytes) {
      throw Error(ErrorCategory::kBadFile,
                  fmt::format("standard input is longer than {} MiB, the most that is read", kMaxTextBytes >> 20));
    }
  }
}

std::string name_of(const std::string& path) { return path == "-" ? "standard input" : path; }

std::string read_bytes(const std::string& path) {
  return path == "-" ? read_standard_input() : read_file(path, kMaxTextBytes);
}

// What some files begin with, and what makes text of them.
struct Signature {
  std::string_view begin, what;
};
constexpr Signature kSignatures[] = {
    {"%PDF-", "is a PDF, not text; `pdftotext FILE` makes text of it"},
    {{"PK\x03\x04", 4},
     "is a zip archive (as .docx, .odt and .epub are), not text; `pandoc -t plain FILE` reads those"},
    {{"\xd0\xcf\x11\xe0", 4}, "is an Office document, not text; save it as text"},
    {{"\x1f\x8b", 2}, "is compressed by gzip; `zcat FILE` unpacks it"},
    {{"\xfd"
      "7zXZ",
      5},
     "is compressed by xz; `xzcat FILE` unpacks it"},
    {{"\x28\xb5\x2f\xfd", 4}, "is compressed by zstd; `zstdcat FILE` unpacks it"},
    {{"\xff\xfe", 2}, "is UTF-16; `iconv -f UTF-16 -t UTF-8 FILE` makes UTF-8 of it"},
    {{"\xfe\xff", 2}, "is UTF-16; `iconv -f UTF-16 -t UTF-8 FILE` makes UTF-8 of it"},
};

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string without_mark(std::string text) {
  return text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text;
}

// Files below a folder, by name; hidden ones are counted, not listed. Links to folders are not followed.
std::vector<std::string> files_below(const std::string& folder, TextInput& counts) {
  namespace fs = std::filesystem;
  std::vector<std::string> files;
  try {
    const fs::recursive_directory_iterator end;
    for (fs::recursive_directory_iterator entry(folder); entry != end; ++entry) {
      if (entry->path().filename().string().starts_with('.')) {
        ++counts.hidden;
        entry.disable_recursion_pending();
      } else if (entry->is_regular_file()) {
        files.push_back(entry->path().string());
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorCategory::kIo, fmt::format("cannot read '{}': {}", folder, error.code().message()));
  }
  std::sort(files.begin(), files.end());
  return files;
}

void append(TextInput& input, const std::string& name, const std::string& text) {
  if (!input.text.empty()) input.text += input.text.ends_with('\n') ? "\n" : "\n\n";
  input.text += fmt::format("# {}\n\n", name) + text;
  ++input.files;
  if (input.text.size() > kMaxTextBytes) {
    throw Error(
        ErrorCategory::kBadFile,
        fmt::format("{}: all files together are longer than {} MiB, the most that is read", name, kMaxTextBytes >> 20));
  }
}

}  // namespace

std::string why_no_text(std::string_view bytes) {
  for (const Signature& signature : kSignatures) {
    if (bytes.starts_with(signature.begin)) return std::string(signature.what);
  }
  const std::size_t nul = bytes.find('\0');
  return nul == std::string_view::npos ? "" : fmt::format("holds a NUL byte at offset {}: it is binary, not text", nul);
}

void check_text(std::string_view text, const std::string& name) {
  if (const std::string why = why_no_text(text); !why.empty()) {
    throw Error(ErrorCategory::kBadFile, fmt::format("{} {}", name, why));
  }
  if (!is_utf8(text)) warn(fmt::format("{} is not UTF-8 throughout; broken bytes are read as U+FFFD", name));
}

std::string read_text(const std::string& path) {
  std::string text = read_bytes(path);
  check_text(text, name_of(path));
  return without_mark(std::move(text));
}

std::string read_text_not_empty(const std::string& path, const std::string& what) {
  std::string text = read_text(path);
  if (text.empty()) {
    throw Error(ErrorCategory::kInvalidArgument, fmt::format("the {} is empty ({})", what, name_of(path)));
  }
  return text;
}

TextInput read_texts(const std::vector<std::string>& paths, const std::string& what) {
  std::error_code error;
  const auto is_folder = [&](const std::string& path) { return std::filesystem::is_directory(path, error); };
  if (paths.size() == 1 && !is_folder(paths[0])) return {.text = read_text_not_empty(paths[0], what), .files = 1};
  TextInput input;
  for (const std::string& path : paths) {
    if (!is_folder(path)) {
      append(input, name_of(path), read_text_not_empty(path, what));
      continue;
    }
    TextInput found;
    for (const std::string& file : files_below(path, found)) {
      std::string text = read_bytes(file);
      if (!why_no_text(text).empty()) {
        ++found.binary;
        continue;
      }
      check_text(text, file);
      append(input, file, without_mark(std::move(text)));
      ++found.files;
    }
    const std::string counts = fmt::format("{} read; left out: {} hidden, {} binary", counted(found.files, "file"),
                                           found.hidden, found.binary);
    if (found.files == 0) {
      throw Error(ErrorCategory::kInvalidArgument, fmt::format("the {} is empty ({}: {})", what, path, counts));
    }
    note(fmt::format("{}: {}", path, counts));
    input.hidden += found.hidden;
    input.binary += found.binary;
  }
  return input;
}

}  // namespace tca::cli
