/* version - what `--version`, the status document and the logs call this build. Any process. */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

#define RESTANTE_VERSION "0.1.0"

#endif
