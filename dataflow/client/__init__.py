"""What commands do at a running service, over HTTP (`service`): their arguments are in `commands`.

`imports` sends files, `exports` fetches contacts as they come, `export_jobs` and `download` a file that a job has made,
`jobs` shows the table of `jobs_table`. `following` waits for a job by `looks` at it: its `events`, if there are any.

May import `errors` and what these stand on.
"""
