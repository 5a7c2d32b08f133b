/* As much of a CUDA driver as is asked for the GPU's name: what comes after it must fail in good order.
   STUB_STATUS in the environment is what cuInit answers. */
#include <stdlib.h>
#include <string.h>

int cuInit(unsigned flags) { return atoi(getenv("STUB_STATUS") ? getenv("STUB_STATUS") : "0"); }
int cuDeviceGet(int *device, int ordinal) { return *device = ordinal; }
int cuDriverGetVersion(int *version) { *version = 13020; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "Stub GPU", length); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 8 : 6; return 0; }
