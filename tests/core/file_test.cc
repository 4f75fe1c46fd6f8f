#include "core/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include "core/expect_error.h"
#include "core/temporary_folder.h"

namespace tca {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

constexpr std::size_t kPlenty = 1 << 20;

TEST(File, WrittenContentIsReadBack) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  for (const std::size_t size : {0, 1, 4095, 4096, 4097, 200000}) {
    std::string content(size, 'x');
    if (size > 0) content.back() = '\0';
    write_file_atomically(path, content);
    EXPECT_EQ(read_file(path, kPlenty), content);
    EXPECT_EQ(folder.num_entries(), 1u);
  }
}

TEST(File, ReadingIsBounded) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  write_file_atomically(path, "12345");
  EXPECT_EQ(read_file(path, 5), "12345");
  expect_error(ErrorCategory::kBadFile, "longer than the 4 bytes", [&] { read_file(path, 4); });
  expect_error(ErrorCategory::kBadFile, "/dev/zero", [&] { read_file("/dev/zero", kPlenty); });
}

TEST(File, PipesAreRead) {
  const TemporaryFolder folder;
  const std::string path = folder.file("pipe");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] {
    FILE* const pipe = std::fopen(path.c_str(), "w");
    std::fputs("through a pipe", pipe);
    std::fclose(pipe);
  });
  EXPECT_EQ(read_file(path, kPlenty), "through a pipe");
  writer.join();
}

TEST(File, MissingFilesAndFoldersAreNamed) {
  const TemporaryFolder folder;
  const std::string missing = folder.file("missing");
  expect_error(ErrorCategory::kIo, missing, [&] { read_file(missing, kPlenty); });
  expect_error(ErrorCategory::kIo, missing, [&] { MappedFile file(missing); });
  expect_error(ErrorCategory::kIo, folder.file(""), [&] { read_file(folder.file(""), kPlenty); });
  expect_error(ErrorCategory::kIo, "missing/a", [&] { write_file_atomically(missing + "/a", "x"); });
}

TEST(File, LinksThatLeadNowhereAreThereAndNamed) {
  const TemporaryFolder folder;
  const std::string link = folder.file("config.json");
  EXPECT_FALSE(has_entry(link));
  ASSERT_EQ(::symlink("elsewhere", link.c_str()), 0);
  EXPECT_TRUE(has_entry(link));
  expect_error(ErrorCategory::kIo, "it is a link to 'elsewhere'", [&] { read_file(link, kPlenty); });
  ASSERT_EQ(::unlink(link.c_str()), 0);
  ASSERT_EQ(::symlink("../../blobs/4d7a", link.c_str()), 0);
  expect_error(ErrorCategory::kIo, "download into the Hugging Face cache did not end", [&] { MappedFile file(link); });
}

TEST(AtomicFileWriter, WithoutCommitTheOldFileStays) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  write_file_atomically(path, "old");
  {
    AtomicFileWriter writer(path);
    writer.write(std::string(100000, 'n'));
    EXPECT_EQ(read_file(path, kPlenty), "old");
  }
  EXPECT_EQ(read_file(path, kPlenty), "old");
  EXPECT_EQ(folder.num_entries(), 1u);
}

TEST(AtomicFileWriter, RemovesWhatKilledWritersLeft) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  const pid_t killed = ::fork();
  if (killed == 0) {
    AtomicFileWriter writer(path);
    writer.write("half");
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(killed, &status, 0), killed);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(folder.num_entries(), 1u);  // the temporary file

  const AtomicFileWriter other(folder.file("b"));  // alive: its temporary file stays
  EXPECT_EQ(folder.num_entries(), 1u);
  write_file_atomically(folder.file(".tca-notes.tmp"), "not of this kind");
  write_file_atomically(path, "whole");
  EXPECT_EQ(folder.num_entries(), 3u);
  EXPECT_EQ(read_file(path, kPlenty), "whole");
  EXPECT_EQ(read_file(folder.file(".tca-notes.tmp"), kPlenty), "not of this kind");
}

TEST(AtomicFileWriter, KeepsModeAndLink) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  write_file_atomically(path, "old");
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  ASSERT_EQ(::symlink("a", folder.file("link").c_str()), 0);
  write_file_atomically(folder.file("link"), "new");
  struct stat status;
  ASSERT_EQ(::lstat(folder.file("link").c_str(), &status), 0);
  EXPECT_TRUE(S_ISLNK(status.st_mode));
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
  EXPECT_EQ(read_file(path, kPlenty), "new");
}

TEST(AtomicFileWriter, RefusesWhatIsNoRegularFile) {
  const TemporaryFolder folder;
  expect_error(ErrorCategory::kIo, "not a regular file", [] { AtomicFileWriter writer("/dev/null"); });
  expect_error(ErrorCategory::kIo, "not a regular file", [&] { AtomicFileWriter writer(folder.file("")); });
  EXPECT_EQ(folder.num_entries(), 0u);
}

// A limit on file sizes fails a write as a full disk does.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_;
  void (*handler_)(int);
};

TEST(AtomicFileWriter, FullDiskLeavesTheOldFile) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  write_file_atomically(path, "old");
  for (const std::size_t size : {5000, 70000, 300000}) {  // fails in commit, in a later piece, in the first
    const FileSizeLimit limit(4096);
    expect_error(ErrorCategory::kIo, path, [&] {
      AtomicFileWriter writer(path);
      writer.write("x");
      writer.write(std::string(size, 'n'));
      writer.commit();
    });
  }
  EXPECT_EQ(read_file(path, kPlenty), "old");
  EXPECT_EQ(folder.num_entries(), 1u);
}

TEST(FileReader, PiecesOfEverySizeMakeTheWhole) {
  const TemporaryFolder folder;
  std::string content(300000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 + i / 256);
  write_file_atomically(folder.file("a"), content);
  for (const std::size_t piece : {1u, 1000u, 65535u, 65536u, 70000u, 300000u}) {
    FileReader reader(folder.file("a"));
    EXPECT_EQ(reader.size(), content.size());
    std::string read(content.size(), '\0');
    for (std::size_t at = 0; at < read.size(); at += piece) {
      reader.read(read.data() + at, std::min(piece, read.size() - at));
    }
    EXPECT_EQ(read, content) << piece;
    char more = 0;
    expect_error(ErrorCategory::kBadFile, "ends too early", [&] { reader.read(&more, 1); });
  }
}

TEST(FileReader, RefusesAPipeWithoutWaitingForIt) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo(folder.file("pipe").c_str(), 0600), 0);
  expect_error(ErrorCategory::kIo, "not a regular file", [&] { FileReader reader(folder.file("pipe")); });
  expect_error(ErrorCategory::kIo, "not a regular file", [&] { MappedFile file(folder.file("pipe")); });
}

TEST(MappedFile, DroppedPagesComeBack) {
  const TemporaryFolder folder;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::string content(5 * page, 0);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i % 251);
  write_file_atomically(folder.file("a"), content);
  const MappedFile file(folder.file("a"));
  const auto is_there = [&] {
    return std::string_view(reinterpret_cast<const char*>(file.data()), file.size()) == content;
  };
  const int map = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(map, 0);
  const auto resident = [&](std::size_t index) {
    std::uint64_t entry = 0;  // its highest bit: the page is in this process's memory
    const std::size_t at = reinterpret_cast<std::uintptr_t>(file.data()) / page + index;
    EXPECT_EQ(::pread(map, &entry, sizeof(entry), static_cast<off_t>(at * sizeof(entry))), 8);
    return entry >> 63 == 1;
  };
  ASSERT_TRUE(is_there());
  ASSERT_TRUE(resident(2));
  file.drop_pages(file.data() + page / 2, 3 * page);  // holds pages 1 and 2 whole
  EXPECT_TRUE(resident(0));
  EXPECT_FALSE(resident(1));
  EXPECT_FALSE(resident(2));
  EXPECT_TRUE(resident(3));
  EXPECT_TRUE(is_there());
  ::close(map);

  std::vector<std::byte> other(4 * page, std::byte{1});
  file.drop_pages(other.data(), other.size());
  EXPECT_EQ(other, std::vector<std::byte>(4 * page, std::byte{1}));
}

TEST(MappedFile, ShowsTheContent) {
  const TemporaryFolder folder;
  write_file_atomically(folder.file("a"), "content");
  write_file_atomically(folder.file("empty"), "");
  MappedFile file(folder.file("a"));
  const MappedFile moved(std::move(file));
  ASSERT_EQ(moved.size(), 7u);
  EXPECT_EQ(std::memcmp(moved.data(), "content", 7), 0);
  EXPECT_EQ(MappedFile(folder.file("empty")).size(), 0u);
}

}  // namespace
}  // namespace tca
