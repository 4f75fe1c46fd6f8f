// Lines of standard input, as they come, with Ctrl-C noticed while waiting.
#pragma once

#include <string>

namespace tca::cli {

class LineReader {
 public:
  enum class Outcome { kLine, kEnd, kInterrupted };
  /// kInterrupted once a request to stop. Throws kIo when standard input cannot be read, kBadFile when a line is longer
  /// than 16 MiB.
  Outcome next(std::string& line);

 private:
  std::string buffer_;
  std::size_t scanned_ = 0;  // no line feed before this
  bool ended_ = false;
  bool told_ = false;  // of the present request to stop
};

}  // namespace tca::cli
