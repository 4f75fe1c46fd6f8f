// Standard output carries results, standard error everything else.
#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tca/error.h"

namespace tca::cli {

/// Fields stay in the order they were written.
using Json = nlohmann::ordered_json;

/// A wrong command line: exit code 2.
class UsageError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Whoever read our output has closed it. The program ends quietly, as with `tca ... | head`.
class ReaderGone : public std::exception {};

/// Writes at once. Throws kIo when standard output does not take it (disk full), ReaderGone when nobody reads it.
void write_output(std::string_view text);
/// The one object of --json. Bytes that are not UTF-8 become U+FFFD.
void write_json(const Json& object);
/// An object of a file of them: on one line, which ends. Bytes that are not UTF-8 become U+FFFD, characters stay.
std::string json_line(const Json& object);
/// Notes, summaries and errors; what standard error does not take is lost.
void write_note(std::string_view text);
/// "tca: error: ..." on one line of standard error, and with json an error object on standard output.
void report_error(const std::string& category, const std::string& message, bool json);
void warn(const std::string& message);
/// "tca: note: ...": what the program does otherwise than one would think, on one line of standard error.
void note(const std::string& message);

std::string category_name(ErrorCategory category);

/// How a job that threw ends.
struct Failure {
  std::string category, message;
  int exit_code = 1;
};
/// Of the exception being handled; a request to stop counts as what it came from. Not for ReaderGone.
Failure current_failure();

}  // namespace tca::cli
