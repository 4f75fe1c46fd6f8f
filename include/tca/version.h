/* Version and linkage of libtca, for C and C++. The version is written here and nowhere else: the build reads it. */
#ifndef TCA_VERSION_H_
#define TCA_VERSION_H_

#define TCA_VERSION_MAJOR 0
#define TCA_VERSION_MINOR 1
#define TCA_VERSION_PATCH 0
#define TCA_VERSION "0.1.0"

/* The public interface: all that a shared libtca exports. */
#if defined(__GNUC__)
#define TCA_API __attribute__((visibility("default")))
#else
#define TCA_API
#endif

#endif /* TCA_VERSION_H_ */
