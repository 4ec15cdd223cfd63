/* verify - walks a whole store and checks what must hold in it (`restante verify`).
 *
 * Opens the store read-only and holds ONE read transaction for the whole walk. Beside a live writer
 * that makes the file grow meanwhile, so a large live store is verified from a copy (store_copy).
 * Any process that does not have the store open yet.
 */
#ifndef SHM_VERIFY_H
#define SHM_VERIFY_H

#include "common/buf.h"
#include "shm/store.h"

/* Memory for the check that no seq occurs twice; beyond it the report says so. */
#define VERIFY_SEQS_MAX (64u << 20) /* seqs, 8 bytes each */
#define VERIFY_LINES_MAX 1000       /* violations told one by one; the rest is only counted */

/* Appends text lines to report: one per violation, then one with what was walked. 0 and the number
 * of violations; or a store error, or an error of report: the walk could not be finished. */
int verify_store(const char *path, struct buf *report, uint64_t *ret_violations);
/* The same inside a transaction of the caller's. */
int verify_txn(struct txn *t, struct buf *report, uint64_t *ret_violations);

#endif
