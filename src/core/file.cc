#include "core/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <system_error>
#include <utility>

#include "core/check.h"

namespace tca {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 16;

// `error` is errno at the failure; a message, not strerror, because that one is not thread-safe.
[[noreturn]] void fail_io(const char* action, const std::string& path, int error) {
  fail(ErrorCategory::kIo, text("cannot ", action, " '", path, "': ", std::generic_category().message(error)));
}

// Throws when path is a link that leads nowhere. Files of a Hugging Face cache are links to ../../blobs/.
void refuse_dangling_link(const std::string& path) {
  std::error_code error;
  const std::string target = std::filesystem::read_symlink(path, error).string();
  if (error) return;
  const bool in_cache = target.find("blobs/") != std::string::npos;
  fail(
      ErrorCategory::kIo,
      text("cannot open '", path, "': it is a link to '", target, "', which is not there",
           in_cache ? "; this file's download into the Hugging Face cache did not end, or the cache was copied without "
                      "its blobs: download it again"
                    : ""));
}

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC)) {
    if (fd_ >= 0) return;
    const int error = errno;
    if (error == ENOENT) refuse_dangling_link(path);
    fail_io("open", path, error);
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(other.take()) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }
  int take() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

struct stat status_of(const Descriptor& file, const std::string& path) {
  struct stat status;
  if (::fstat(file.get(), &status) != 0) fail_io("examine", path, errno);
  return status;
}

Descriptor open_regular(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for a writer before it can be refused.
  Descriptor file(path, O_RDONLY | O_NONBLOCK);
  if (!S_ISREG(status_of(file, path).st_mode)) {
    fail(ErrorCategory::kIo, text("cannot read '", path, "': not a regular file"));
  }
  return file;
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The file behind a symbolic link, so that replacing it keeps the link.
std::string resolve(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real ? std::string(real.get()) : path;
}

// ---- Temporary files: named .tca-<process>-<number>.tmp, locked as long as their writer lives

constexpr std::string_view kTemporaryPrefix = ".tca-", kTemporarySuffix = ".tmp";

bool is_temporary_name(std::string_view name) {
  if (!name.starts_with(kTemporaryPrefix) || !name.ends_with(kTemporarySuffix)) return false;
  name.remove_prefix(kTemporaryPrefix.size());
  return name.find_first_not_of("0123456789-") == name.size() - kTemporarySuffix.size();
}

// Removes what a writer that was killed left behind: nobody holds its lock. Where locks do not work, nothing is
// removed.
void remove_abandoned(const std::string& folder) {
  DIR* const entries = ::opendir(folder.c_str());
  if (entries == nullptr) return;
  const auto close_entries = [](DIR* open) { ::closedir(open); };
  const std::unique_ptr<DIR, decltype(close_entries)> owner(entries, close_entries);
  while (const dirent* const entry = ::readdir(entries)) {
    if (!is_temporary_name(entry->d_name)) continue;
    const std::string path = text(folder, "/", entry->d_name);
    const int file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) continue;
    struct stat status;
    const bool ours = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == ::geteuid();
    if (ours && ::flock(file, LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
    ::close(file);
  }
}

// Locks a new temporary file against remove_abandoned(). False when that one was faster.
bool claim(int file) {
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;  // no locks here: nobody removes either
  struct stat status;
  return ::fstat(file, &status) == 0 && status.st_nlink > 0;
}

}  // namespace

bool has_entry(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(std::filesystem::symlink_status(path, error));
}

std::string read_file(const std::string& path, std::size_t max_bytes) {
  const Descriptor file(path, O_RDONLY);
  const struct stat status = status_of(file, path);
  const auto refuse_long = [&] {
    fail(ErrorCategory::kBadFile, text("'", path, "' is longer than the ", max_bytes, " bytes allowed here"));
  };
  const auto expected = S_ISREG(status.st_mode) ? static_cast<std::size_t>(status.st_size) : 0;
  if (expected > max_bytes) refuse_long();
  std::string content;
  // One byte more than expected, so that a regular file is read and its end seen without growing.
  content.resize(std::max(expected + 1, std::size_t{4096}));
  std::size_t filled = 0;
  for (;;) {
    const ssize_t got = ::read(file.get(), content.data() + filled, content.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_io("read", path, errno);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
    if (filled > max_bytes) refuse_long();
    if (filled == content.size()) content.resize(2 * content.size());
  }
  content.resize(filled);
  return content;
}

void write_file_atomically(const std::string& path, std::string_view data) {
  AtomicFileWriter writer(path);
  writer.write(data);
  writer.commit();
}

AtomicFileWriter::AtomicFileWriter(const std::string& path) : path_(resolve(path)) {
  struct stat status;
  const bool exists = ::stat(path_.c_str(), &status) == 0;
  // Renaming onto a device or a pipe would replace it by a file.
  if (exists && !S_ISREG(status.st_mode)) {
    fail(ErrorCategory::kIo, text("cannot write '", path, "': it exists and is not a regular file"));
  }
  buffer_.reserve(kBufferBytes);
  remove_abandoned(folder_of(path_));
  open_temporary(folder_of(path_));
  // Keeping the mode is a courtesy: a file system without modes is no reason to fail.
  if (exists) static_cast<void>(::fchmod(fd_, status.st_mode & 07777) == 0);
}

void AtomicFileWriter::open_temporary(const std::string& folder) {
  static std::atomic<unsigned> counter{0};
  for (;;) {
    temporary_ =
        text(folder, "/", kTemporaryPrefix, static_cast<long>(::getpid()), "-", counter.fetch_add(1), kTemporarySuffix);
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ >= 0 && claim(fd_)) return;
    if (fd_ >= 0) {
      ::close(std::exchange(fd_, -1));
    } else if (errno != EEXIST && errno != EINTR) {
      fail_io("create a file beside", path_, errno);
    }
  }
}

AtomicFileWriter::~AtomicFileWriter() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFileWriter::write(const void* data, std::size_t size) {
  if (buffer_.size() + size <= kBufferBytes) {
    buffer_.append(static_cast<const char*>(data), size);
    return;
  }
  flush();
  write_through(data, size);
}

void AtomicFileWriter::flush() {
  write_through(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void AtomicFileWriter::write_through(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(fd_, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_io("write", path_, errno);
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
}

void AtomicFileWriter::commit() {
  flush();
  if (::fsync(fd_) != 0) fail_io("write", path_, errno);
  const std::string folder_path = folder_of(path_);
  // Closed after it has its name: until then the lock keeps others from removing it.
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_io("replace", path_, errno);
  // Nothing throws from here on.
  temporary_.clear();
  ::close(std::exchange(fd_, -1));
  // The new name survives a power cut only when the folder is on disk too; not every file system can do that.
  const int folder = ::open(folder_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    static_cast<void>(::fsync(folder) == 0);
    ::close(folder);
  }
}

FileReader::FileReader(const std::string& path) : path_(path) {
  Descriptor file = open_regular(path);
  size_ = static_cast<std::uint64_t>(status_of(file, path).st_size);
  fd_ = file.take();
}

FileReader::~FileReader() { ::close(fd_); }

std::size_t FileReader::read_some(void* data, std::size_t size) {
  ssize_t got = 0;
  do {
    got = ::read(fd_, data, size);
  } while (got < 0 && errno == EINTR);
  if (got < 0) fail_io("read", path_, errno);
  if (got == 0) fail(ErrorCategory::kBadFile, text("'", path_, "' ends too early"));
  return static_cast<std::size_t>(got);
}

void FileReader::read(void* data, std::size_t size) {
  auto* bytes = static_cast<char*>(data);
  while (size > 0) {
    const std::size_t buffered = std::min(size, buffer_.size() - begin_);
    if (buffered > 0) {
      std::memcpy(bytes, buffer_.data() + begin_, buffered);
      begin_ += buffered;
      bytes += buffered;
      size -= buffered;
    } else if (size >= kBufferBytes) {
      const std::size_t got = read_some(bytes, size);
      bytes += got;
      size -= got;
    } else {
      buffer_.resize(kBufferBytes);
      begin_ = buffer_.size();  // nothing is buffered if the read throws
      buffer_.resize(read_some(buffer_.data(), kBufferBytes));
      begin_ = 0;
    }
  }
}

MappedFile::MappedFile(const std::string& path) {
  const Descriptor file = open_regular(path);
  const struct stat status = status_of(file, path);
  if (status.st_size == 0) return;
  const auto size = static_cast<std::size_t>(status.st_size);
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) fail_io("map", path, errno);
  data_ = static_cast<const std::byte*>(address);
  size_ = size;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::drop_pages(const std::byte* from, std::size_t bytes) const {
  if (std::less<>()(from, data_) || !std::less<>()(from, data_ + size_)) return;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto offset = static_cast<std::size_t>(from - data_);
  const std::size_t begin = (offset + page - 1) / page * page, end = std::min(offset + bytes, size_) / page * page;
  // Advice alone: where it is refused, the pages stay.
  if (begin < end) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace tca
