/* A stand-in for NVIDIA's libnvidia-ml.so.1: the part of its ABI that gradtop calls, written by hand.
 *
 * What it does is told by words in the environment variable GPU_DRIVER and in the file that GPU_DRIVER_FILE names,
 * which is read again at every call; the last word that fits is the one that counts.
 *
 *   gpus=2  mig:1=3  procs:0=4242:1024,4243:na  name:0=evil     devices, instances, processes (pid:MiB), names
 *   temp:1=90  util=97  reasons=0x44  ...                       values, see `words` below
 *   lost:1=1                                                    a device that fell off the bus; 0 brings it back
 *   reload=N                                                    another N: the driver was loaded anew
 *   GetPowerUsage=3  GetPowerUsage:1=15  *:1=15  Init=9         a return code of one function, or of all of them
 *   GetName=sentinel  GetName=abort  GetName=hang2000  Init=hang0    all bits set; the end; so many ms (0: for ever)
 *   ...=3@4  ...=3!2                                            from the fourth call on; for the first two calls
 *
 * Handles are checked: one from before a reload, or of a device that was lost since, is refused.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_FOUND = 6, TOO_SMALL = 7, LOST = 15 };
enum { MOST = 16, INSTANCES = 7, TEXT = 8192, KNOWN = 64 };

typedef unsigned int uint;
typedef unsigned long long ull;
typedef struct { uint gpu, memory; } Utilization;
typedef struct { ull total, free, used; } Memory;
typedef struct { uint version; ull total, reserved, free, used; } Memory2;
typedef struct { uint pid; ull memory; uint gpu_instance, compute_instance; } Process;
typedef union { double d; uint u; ull l; } Value;
typedef struct { uint field, scope; int64_t time, latency; uint type; int result; Value value; } Field;
typedef struct { int index, instance, age, born; } *Device;

static __typeof__(*(Device)0) places[MOST][INSTANCES + 1][KNOWN];
static int initialized, loaded, born, age[MOST], calls[KNOWN];
static const char *called[KNOWN];

static const char *text(void) {
    static char all[TEXT];
    const char *said = getenv("GPU_DRIVER"), *path = getenv("GPU_DRIVER_FILE");
    size_t n = (size_t)snprintf(all, sizeof all / 2, "%s ", said ? said : "");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file) {
        n += fread(all + n, 1, sizeof all - n - 1, file);
        fclose(file);
    }
    all[n] = 0;
    return all;
}

/* What the last word says that fits: `name=`, `name:device=`, `*=` or `*:device=`; NULL where none does. */
static const char *find(const char *name, int device, int any, char *out, size_t room) {
    char own[64], named[64], all[16], alls[16];
    const char *found = NULL;
    snprintf(own, sizeof own, "%s:%d=", name, device);
    snprintf(named, sizeof named, "%s=", name);
    snprintf(all, sizeof all, "*:%d=", device);
    snprintf(alls, sizeof alls, "*=");
    const char *keys[] = {own, named, any ? all : own, any ? alls : own};
    for (const char *at = text(); *at; at += strcspn(at, " \n"), at += strspn(at, " \n"))
        for (int i = 0; i < 4; i++)
            if (!strncmp(at, keys[i], strlen(keys[i]))) found = at + strlen(keys[i]);
    if (!found) return NULL;
    snprintf(out, room, "%.*s", (int)strcspn(found, " \n"), found);
    return out;
}

static ull number(const char *name, int device, ull otherwise) {
    char said[64];
    return find(name, device, 0, said, sizeof said) ? strtoull(said, NULL, 0) : otherwise;
}

static int times(const char *name) {
    for (int i = 0; i < KNOWN; i++) {
        if (!called[i]) called[i] = name;
        if (!strcmp(called[i], name)) return ++calls[i];
    }
    return 1;
}

static void load(void) {
    int now = (int)number("reload", -1, 0);
    if (now != loaded) loaded = now, initialized = 0;
}

static int gone(Device d) { return d && number("lost", d->index, 0); }

/* The result of a call, with all bits of `out` set where that is asked for; -1 where it may go on. */
static int fault(const char *name, Device d, void *out, size_t size) {
    char said[64];
    int n = times(name), device = d ? d->index : -1;
    load();
    if (find(name, device, 1, said, sizeof said)) {
        char *from = strchr(said, '@'), *first = strchr(said, '!');
        if ((!from || n >= atoi(from + 1)) && (!first || n <= atoi(first + 1))) {
            if (!strncmp(said, "hang", 4)) {
                int ms = atoi(said + 4);
                for (int i = 0; !ms || i < ms; i++) usleep(1000);
            } else if (!strncmp(said, "abort", 5)) {
                abort();
            } else if (!strncmp(said, "sentinel", 8)) {
                if (out) memset(out, 0xff, size);
                return OK;
            } else {
                return atoi(said);
            }
        }
    }
    if (!strcmp(name, "Init")) return -1;
    if (!initialized) return UNINITIALIZED;
    if (d && gone(d)) age[d->index] = d->age + 1;
    if (d && (gone(d) || d->age != age[d->index])) return LOST;
    return d && d->born != born ? INVALID : -1;
}

#define ASK(name, d, out)                                       \
    do {                                                        \
        int result = fault(name, d, out, sizeof *(out));        \
        if (result >= 0) return result;                         \
    } while (0)

static int known(const void *d) {
    return (const char *)d >= (const char *)places && (const char *)d < (const char *)places + sizeof places;
}
#define KNOW(d) do { if (!known(d)) return INVALID; } while (0)

static Device place(int index, int instance) {
    Device d = &places[index][instance][(born + age[index]) % KNOWN];
    d->index = index, d->instance = instance, d->age = age[index], d->born = born;
    return d;
}

int nvmlInitWithFlags(uint flags) {
    (void)flags;
    int result = fault("Init", NULL, NULL, 0);
    if (result >= 0) return result;
    return initialized = 1, born++, OK;
}

int nvmlShutdown(void) { return initialized ? (initialized = 0, OK) : UNINITIALIZED; }

const char *nvmlErrorString(int code) {
    static char said[64];
    snprintf(said, sizeof said, "\x1b]0;error %d", code);
    return said;
}

static int say(const char *name, Device d, char *out, uint size, const char *otherwise) {
    int result = fault(name, d, out, size);
    if (result >= 0) {
        if (size) out[size - 1] = 0;
        return result;
    }
    return snprintf(out, size, "%s", otherwise) < (int)size ? OK : TOO_SMALL;
}

int nvmlSystemGetDriverVersion(char *out, uint size) { return say("GetDriverVersion", NULL, out, size, "595.10.01"); }

int nvmlSystemGetCudaDriverVersion_v2(int *out) { ASK("GetCudaDriverVersion", NULL, out); return *out = 13010, OK; }

int nvmlDeviceGetCount_v2(uint *out) {
    ASK("GetCount", NULL, out);
    return *out = (uint)number("gpus", -1, 2), OK;
}

int nvmlDeviceGetHandleByIndex_v2(uint index, Device *out) {
    if (index >= MOST || index >= number("gpus", -1, 2)) return INVALID;
    Device d = place((int)index, 0);
    if (gone(d)) return LOST;
    ASK("GetHandleByIndex", d, out);
    return *out = d, OK;
}

int nvmlDeviceGetName(Device d, char *out, uint size) {
    char said[64], name[96];
    KNOW(d);
    if (find("name", d->index, 0, said, sizeof said) && !strcmp(said, "evil"))
        return say("GetName", d, out, size, "\x1b]52;c;cm0gLXJm\x07[/bold]\xe2\x80\xaeGPU");
    snprintf(name, sizeof name, d->instance ? "Stand-in GPU MIG 1g.10gb" : "Stand-in GPU 80GB");
    return say("GetName", d, out, size, name);
}

int nvmlDeviceGetUUID(Device d, char *out, uint size) {
    char uuid[96];
    KNOW(d);
    snprintf(uuid, sizeof uuid, d->instance ? "MIG-%08d-%d" : "GPU-%08d", d->index, d->instance);
    return say("GetUUID", d, out, size, uuid);
}

int nvmlDeviceGetUtilizationRates(Device d, Utilization *out) {
    KNOW(d);
    ASK("GetUtilizationRates", d, out);
    if (d->instance || number("mig", d->index, 0)) return 3;
    return out->gpu = (uint)number("util", d->index, 97), out->memory = 40, OK;
}

static ull mib(const char *name, Device d, ull otherwise) {
    return (number(name, d->index, otherwise) << 20) / (d->instance ? 8 : 1);
}

int nvmlDeviceGetMemoryInfo(Device d, Memory *out) {
    KNOW(d);
    ASK("GetMemoryInfo", d, out);
    out->total = mib("total", d, 81920), out->used = mib("used", d, 62000) + mib("reserved", d, 500);
    return out->free = out->total - out->used, OK;
}

#ifndef OLD_DRIVER
int nvmlDeviceGetMemoryInfo_v2(Device d, Memory2 *out) {
    if (out->version != 0x2000028) return 25;
    KNOW(d);
    ASK("GetMemoryInfo_v2", d, out);
    out->total = mib("total", d, 81920), out->used = mib("used", d, 62000), out->reserved = mib("reserved", d, 500);
    return out->free = out->total - out->used - out->reserved, OK;
}

int nvmlDeviceGetCurrentClocksEventReasons(Device d, ull *out) {
    KNOW(d);
    ASK("GetCurrentClocksEventReasons", d, out);
    return *out = number("reasons", d->index, 4), OK;
}

int nvmlDeviceGetMigMode(Device d, uint *now, uint *pending) {
    KNOW(d);
    ASK("GetMigMode", d, now);
    return *now = *pending = number("mig", d->index, 0) > 0, OK;
}

int nvmlDeviceGetMaxMigDeviceCount(Device d, uint *out) {
    KNOW(d);
    ASK("GetMaxMigDeviceCount", d, out);
    return *out = INSTANCES, OK;
}

int nvmlDeviceGetMigDeviceHandleByIndex(Device d, uint index, Device *out) {
    KNOW(d);
    ASK("GetMigDeviceHandleByIndex", d, out);
    if (index >= number("mig", d->index, 0)) return NOT_FOUND;
    return *out = place(d->index, (int)index + 1), OK;
}

int nvmlDeviceGetFieldValues(Device d, int n, Field *fields) {
    KNOW(d);
    ASK("GetFieldValues", d, fields);
    for (int i = 0; i < n; i++) {
        fields[i].result = fields[i].field == 138 || fields[i].field == 139 ? OK : 3;
        fields[i].time = (int64_t)number("nvlink_us", d->index, 1), fields[i].type = 3;
        fields[i].value.l = number(fields[i].field == 138 ? "nvlink_tx" : "nvlink_rx", d->index, 1000);
    }
    return OK;
}
#endif

int nvmlDeviceGetCurrentClocksThrottleReasons(Device d, ull *out) {
    KNOW(d);
    ASK("GetCurrentClocksThrottleReasons", d, out);
    return *out = number("reasons", d->index, 4), OK;
}

/* words: the values of a device, and what they are where nobody says anything. */
#define VALUE(function, arguments, word, otherwise)             \
    int nvmlDevice##function(Device d arguments, uint *out) {   \
        KNOW(d);                                                \
        ASK(#function, d, out);                                 \
        return *out = (uint)number(word, d->index, otherwise), OK; \
    }
#define AND(type) , type which
VALUE(GetTemperature, AND(uint), "temp", 71)
VALUE(GetPowerUsage, , "power", 645000)
VALUE(GetEnforcedPowerLimit, , "limit", 700000)
VALUE(GetClockInfo, AND(uint), which == 2 ? "memclk" : "sm", which == 2 ? 2619 : 1980)
VALUE(GetMaxClockInfo, AND(uint), "smmax", 1980)
VALUE(GetFanSpeed, , "fan", 33)
VALUE(GetPerformanceState, , "pstate", 0)
VALUE(GetPcieThroughput, AND(uint), which ? "pcie_rx" : "pcie_tx", which ? 2000 : 1000)

int nvmlDeviceGetTotalEccErrors(Device d, uint kind, uint counter, ull *out) {
    (void)counter;
    KNOW(d);
    ASK("GetTotalEccErrors", d, out);
    return *out = number(kind ? "uncorrected" : "corrected", d->index, 0), OK;
}

static int processes(const char *name, Device d, uint *n, Process *out) {
    char said[1024];
    KNOW(d);
    int result = fault(name, d, NULL, 0);
    if (result == OK) return *n = 1, out ? (memset(out, 0xff, sizeof *out), OK) : TOO_SMALL;
    if (result > 0) return result;
    if (!find("procs", d->index, 0, said, sizeof said) || !*said) return *n = 0, OK;
    uint found = 0;
    for (char *at = strtok(said, ","); at; at = strtok(NULL, ",")) {
        char *memory = strchr(at, ':');
        if (out && found < *n) {
            out[found].pid = (uint)strtoul(at, NULL, 0);
            out[found].memory = !memory || !strcmp(memory, ":na") ? ~0ull : strtoull(memory + 1, NULL, 0) << 20;
            out[found].gpu_instance = out[found].compute_instance = ~0u;
        }
        found++;
    }
    result = out && found <= *n ? OK : TOO_SMALL;
    return *n = found, result;
}

int nvmlDeviceGetComputeRunningProcesses_v2(Device d, uint *n, Process *out) {
    return processes("GetComputeRunningProcesses_v2", d, n, out);
}
#ifndef OLD_DRIVER
int nvmlDeviceGetComputeRunningProcesses_v3(Device d, uint *n, Process *out) {
    return processes("GetComputeRunningProcesses_v3", d, n, out);
}
#endif

/* Sizes for a test to compare with those of the binding. */
uint size_of(int i) {
    uint sizes[] = {sizeof(Utilization), sizeof(Memory), sizeof(Memory2), sizeof(Process), sizeof(Field), sizeof(Value)};
    return sizes[i];
}
