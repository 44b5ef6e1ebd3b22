"""What the file server remembers, so that the next request for a file costs less.

| module | keeps | by | at most | for |
|---|---|---|---|---|
| ``expiring``, in ``lookup`` | metadata of the files found | path | 4096 files | 1 s |
| ``small_files`` | responses with files of up to 128 KiB | path | 4 MiB, 32 descriptors | 1 s |
| ``open_directories`` | open directories | path | 32 descriptors | 1 s |
| ``by_version``, in ``content_sniffing`` and ``precompressed_siblings`` | whether a text is UTF-8; whether a sibling decodes to the file | versions of the files | 1000 answers each | until dropped |
| ``file_digests`` | digests of files | version of the file and algorithm | 1000 digests | until dropped |

Two rules hold for all of them:

- Whatever is sent is looked at again first. A file that was found by its path is opened again,
  or its status asked for, and counts only if its version is the same: see ``versions``. Facts
  that took reading a file are kept by its version, so another version has none. The one
  exception is a directory that is held open: a client reaches it for up to a second after it
  was moved.
- Whatever is full drops an entry: the oldest, or the one that was used least recently
  (``by_version``, ``file_digests``). ``bounded`` has that rule.

Descriptors are held open only within the lifetime of the app (``descriptor_caches``).

Elsewhere, ``representation`` keeps the header fields of the last 1024 versions, and ``mounts``
whether a device is local, for ten seconds.
"""  # noqa: E501 - the rows of a table are one line each
