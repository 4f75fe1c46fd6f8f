// Files: bounded reads, writes that appear whole or not at all, read-only maps. Every failure is a tca::Error that
// names the path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tca {

/// Is there something of this name? A symbolic link counts although what it leads to is missing: whoever reads it then
/// says so, where "no such file" would hide it.
bool has_entry(const std::string& path);

/// The whole content of a file or pipe. Throws kIo when it cannot be read, kBadFile when it is longer than max_bytes.
std::string read_file(const std::string& path, std::size_t max_bytes);

/// Replaces path by data at once: on any failure the old file stays and nothing else is left behind. Throws kIo.
void write_file_atomically(const std::string& path, std::string_view data);

/// The same for content that comes in pieces: a temporary file in path's folder, renamed by commit(). Without commit()
/// the destructor removes it. path may be a symbolic link, whose target is then replaced; anything but a regular file
/// there (a device, a folder) is refused. What killed writers left in the folder is removed first.
class AtomicFileWriter {
 public:
  explicit AtomicFileWriter(const std::string& path);
  ~AtomicFileWriter();
  AtomicFileWriter(const AtomicFileWriter&) = delete;
  AtomicFileWriter& operator=(const AtomicFileWriter&) = delete;

  void write(const void* data, std::size_t size);
  void write(std::string_view data) { write(data.data(), data.size()); }
  /// Flushes to the disk and renames. Call once, last.
  void commit();

 private:
  void open_temporary(const std::string& folder);
  void flush();
  void write_through(const void* data, std::size_t size);

  std::string path_;
  std::string temporary_;  // empty once renamed
  int fd_ = -1;
  std::string buffer_;  // small writes are gathered here
};

/// Reads a regular file from its beginning, piece by piece.
class FileReader {
 public:
  explicit FileReader(const std::string& path);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  std::uint64_t size() const { return size_; }  // when it was opened
  /// Exactly `size` bytes. Throws kBadFile when the file ends before.
  void read(void* data, std::size_t size);

 private:
  std::size_t read_some(void* data, std::size_t size);

  std::string path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::string buffer_;  // small reads are served from here
  std::size_t begin_ = 0;
};

/// A regular file, mapped read-only. The content is undefined if somebody shortens the file meanwhile.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  /// Whole pages between `from` and from + bytes leave the process, until somebody reads them. Nothing happens when
  /// from lies in other memory.
  void drop_pages(const std::byte* from, std::size_t bytes) const;

 private:
  const std::byte* data_ = nullptr;  // null when the file is empty
  std::size_t size_ = 0;
};

}  // namespace tca
