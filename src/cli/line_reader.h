// Messages from standard input: lines as they come, or what is written with an editor on a terminal.
#pragma once

#include <cstddef>
#include <string>

namespace tca::cli {

class MessageReader {
 public:
  enum class Outcome { kMessage, kEnd, kInterrupted };
  virtual ~MessageReader() = default;
  /// kInterrupted once a request to stop. Throws kIo when standard input cannot be read, kBadFile when a message is
  /// longer than kMaxMessageBytes.
  virtual Outcome next(std::string& message) = 0;

  static constexpr std::size_t kMaxMessageBytes = std::size_t{16} << 20;

 protected:
  /// Waits a little for input, and takes what there is. kInterrupted as above; false when there is none yet.
  enum class Input { kNone, kSome, kEnd, kInterrupted };
  Input read_some(std::string& bytes);

 private:
  bool told_ = false;  // of the present request to stop
};

/// A message a line.
class LineReader : public MessageReader {
 public:
  Outcome next(std::string& line) override;

 private:
  std::string buffer_;
  std::size_t scanned_ = 0;  // no line feed before this
  bool ended_ = false;
};

}  // namespace tca::cli
