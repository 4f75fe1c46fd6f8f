// A saved session without its model: tokens, what every layer and head kept, bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/output.h"
#include "cli/terminal.h"
#include "tca/kv_cache.h"
#include "tca/profile.h"

namespace tca::cli {

struct SavedSession {
  KvShape shape;
  ModelFingerprint model;
  std::string objective;  // of the profile's configuration; empty: everything was kept
  double budget = 1;
  std::int64_t num_tokens = 0;
  std::size_t kv_bytes = 0;
  std::uint64_t file_bytes = 0;
  std::vector<std::vector<std::int64_t>> lengths;  // tokens held, [layers][heads]

  double kept_share(std::size_t layer, std::size_t head) const;
  double kept_share() const;
};

/// Whether a file begins as a saved session does. Throws kIo where it cannot be read.
bool is_saved_session(const std::string& path);
SavedSession read_saved_session(const std::string& path);
std::string session_text(const std::string& path, const SavedSession& saved, const Style& style);
Json session_json(const std::string& path, const SavedSession& saved);

}  // namespace tca::cli
