//! Hostile SQL.

use crate::generator::Generator;

/// How a query of `n` parts is made.
type Shape = fn(usize) -> String;

/// Queries that grow with a number; a few of them would be fine if it were small.
const SHAPES: &[(&str, Shape)] = &[
    ("plus", |n| format!("select {}", vec!["1"; n].join("+"))),
    ("parens", |n| format!("select {}1{}", "(".repeat(n), ")".repeat(n))),
    ("or", |n| format!("select * from me.p.t where {}", each(n, " or ", |i| format!("n = {i}")))),
    ("and", |n| {
        format!("select * from me.p.t where {}", each(n, " and ", |i| format!("n <> {i}")))
    }),
    ("case", |n| format!("select {}1{}", "case when 1=1 then ".repeat(n), " end".repeat(n))),
    ("union", |n| vec!["select 1"; n].join(" union all ")),
    ("not", |n| format!("select {}true", "not ".repeat(n))),
    ("minus", |n| format!("select {}1", "- ".repeat(n))),
    ("concat", |n| format!("select {}", vec!["'a'"; n].join("||"))),
    ("subquery", |n| format!("{}select 1{}", "select * from (".repeat(n), ")".repeat(n))),
    ("call", |n| format!("select {}1{}", "abs(".repeat(n), ")".repeat(n))),
    ("array", |n| format!("select {}1{}", "[".repeat(n), "]".repeat(n))),
    ("cast", |n| format!("select 1{}", "::int".repeat(n))),
    ("in", |n| format!("select * from me.p.t where n in ({})", each(n, ",", |i| i.to_string()))),
    ("columns", |n| format!("select {} from me.p.t", each(n, ",", |i| format!("n c{i}")))),
    ("arrow", |n| format!("select s{} from me.p.t", "->'a'".repeat(n))),
    ("subscript", |n| format!("select s{} from me.p.t", "[1]".repeat(n))),
    ("from", |n| format!("select 1 from {}", each(n, ",", |i| format!("me.p.t t{i}")))),
    ("like", |n| format!("select 1 from me.p.t where s like '{}'", "%a_".repeat(n))),
    ("regex", |n| format!("select 1 from me.p.t where s ~ '{}a{}'", "(".repeat(n), ")*".repeat(n))),
    ("comment", |n| format!("select 1 {}", "/* ".repeat(n))),
    ("text", |n| format!("select '{}' || s from me.p.t", "x".repeat(n * 10))),
    ("values", |n| format!("values {}", each(n, ",", |i| format!("({i})")))),
    ("order", |n| {
        format!("select n from me.p.t order by {}", each(n, ",", |i| format!("n + {i}")))
    }),
    ("type", |n| format!("select arrow_cast(null, '{}Int8{}')", "List(".repeat(n), ")".repeat(n))),
    ("type of a filter", |n| {
        let ty = format!("{}Int8{}", "List(".repeat(n), ")".repeat(n));
        format!("select count(*) from me.p.t where arrow_try_cast(n, '{ty}') is null")
    }),
    ("type by suffix", |n| format!("select null::int{}", "[]".repeat(n))),
    ("cube", |n| {
        let columns = each(n.min(200), ",", |i| format!("n + {i}"));
        format!("select count(*) from me.p.t group by cube({columns})")
    }),
    ("states", |n| format!("select 1 from me.p.t where s ~ '[r ]*r[r ]{{{n}}}'")),
    ("patterns", |n| {
        format!("select 1 from me.p.t where regexp_like(s, concat('(a{{0,300}}){{0,{n}}}', n))")
    }),
    ("compared lists", |n| {
        let lists = format!("range(0, value + {n}00), range(9000000, value + 9000000 + {n}00)");
        format!("select count(*) from generate_series(1, 4) where array_has_any({lists})")
    }),
    ("hex", |n| {
        let n = n.min(40);
        format!("select length({}s{}) from me.p.t", "encode(".repeat(n), ", 'hex')".repeat(n))
    }),
    ("exists", |n| {
        format!("select 1 where {}", each(n, " and ", |_| "exists (select 1)".to_owned()))
    }),
];

/// Queries that double with each step.
const DOUBLING: &[(&str, Shape)] = &[
    ("with", |n| {
        let steps = each(n, ",", |i| {
            let next = i + 1;
            format!("c{next} as (select a.x from c{i} a, c{i} b)")
        });
        format!("with c0 as (select 1 x),{steps} select * from c{n}")
    }),
    ("filter", |n| {
        let steps = each(n, ",", |i| {
            let next = i + 1;
            format!("c{next} as (select x+x x from c{i})")
        });
        format!("with c0 as (select n x from me.p.t),{steps} select * from c{n} where x > 1")
    }),
    ("text", |n| {
        let steps = each(n, ",", |i| {
            let next = i + 1;
            format!("c{next} as (select x||x x from c{i})")
        });
        format!("with c0 as (select s x from me.p.t),{steps} select max(length(x)) from c{n}")
    }),
    ("list", |n| {
        let steps = each(n, ",", |i| {
            let next = i + 1;
            format!("c{next} as (select [x,x] x from c{i})")
        });
        format!("with c0 as (select s x from me.p.t),{steps} select count(x) from c{n}")
    }),
    ("join", |n| {
        let joins = each(n, " ", |i| {
            let next = i + 1;
            format!("join me.p.t a{next} on a{next}.n % 2 = a{i}.n % 2")
        });
        format!("select count(*) from me.p.t a0 {joins}")
    }),
];

/// Queries whose results or intermediate results are large, or which take long.
const LARGE: &[&str] = &[
    "select length(repeat('x', 2000000000))",
    "select length(repeat(s, 100000000)) from me.p.t",
    "select length(lpad('x', 2000000000, 'y'))",
    "select length(rpad(s, 2000000000)) from me.p.t",
    "select cardinality(array_repeat(1, 500000000))",
    "select cardinality(array_repeat(s, 500000000)) from me.p.t",
    "select cardinality(array_resize([1], 2000000000, 2))",
    "select cardinality(range(0, 1000000000))",
    "select cardinality(generate_series(n, 9223372036854775807)) from me.p.t",
    "select length(replace(repeat('a',100000), 'a', repeat('b', 100000)))",
    "select length(replace(repeat(s,1000), 'r', repeat(s, 1000))) from me.p.t",
    "select length(translate(repeat('a', 100000000), 'a', 'b'))",
    "select length(string_agg(repeat(s, 10000), '')) from me.p.t",
    "select length(concat(repeat('x',1000000000), repeat('y',1000000000)))",
    "select regexp_replace(repeat('a', 200000), '(a*)*$', 'b')",
    "select length(regexp_replace(repeat('a', 100000), 'a', repeat('b', 100000), 'g'))",
    "select regexp_count(repeat(s, 10000), '(r.*)*z') from me.p.t",
    "select levenshtein(repeat('a', 200000), repeat('b', 200000))",
    "select max(levenshtein(repeat(s, 1000), repeat(s, 999))) from me.p.t",
    "select to_char(now(), repeat('%Y', 10000000))",
    "select unnest(range(0, 100000000))",
    "select count(*) from me.p.t a, me.p.t b, me.p.t c, me.p.t d",
    "select * from me.p.t a, me.p.t b, me.p.t c order by a.s, b.s, c.s",
    "select array_agg(a.s) from me.p.t a, me.p.t b, me.p.t c",
    "select sum(v.value * w.value) from generate_series(1, 10000000) v, generate_series(1, 1000000) w",
    "with recursive r as (select 1 x union all select x + 1 from r) select count(*) from r",
    "with recursive r as (select 'x' x union all select x || x from r) select max(length(x)) from r",
    "select count(distinct a.s || b.s || c.s) from me.p.t a, me.p.t b, me.p.t c",
    "select row_number() over (order by a.s || b.s) from me.p.t a, me.p.t b",
    "select '9999999999999999999999999999999999999999999999'::decimal(76,0)",
    "select power(10, 400), 1 / 0, 9223372036854775807 + 1, -9223372036854775808 / -1",
    "select date '9999-12-31' + interval '100000000 years'",
    "select 1e400, 1e-400, 0x7fffffffffffffffffff",
    "explain analyze select count(*) from me.p.t a, me.p.t b, me.p.t c",
    "select approx_percentile_cont(n, 0.5, 1000000000) from me.p.t",
    "select approx_percentile_cont(n, 0.5, 9223372036854775807) from me.p.t",
    "select approx_percentile_cont_with_weight(n, 1, 0.5, 1000000000) from me.p.t",
    "select max(cardinality(a)) from (select array_agg(value) over () a from generate_series(1,100000))",
    "select max(length(a)) from (select string_agg(repeat('x',16000),'') over (order by value) a from generate_series(1,60000))",
    "select max(length(a)) from (select max(case when value = 1 then repeat('x', 1000000) end) over () a from generate_series(1,100000))",
    "select max(length(a)) from (select first_value(repeat(a.s, 1000)) over (order by a.n) a from me.p.t a, me.p.t b)",
    "select max(a) from (select sum(value) over () a from generate_series(1,1000000000))",
    "select max(a) from (select median(value) over (order by value rows between current row and unbounded following) a from generate_series(1,300000))",
    "select lag(s, 9223372036854775807, repeat(s, 100)) over (order by n) from me.p.t",
    "select string_agg(s, repeat('x', 1000000)) from me.p.t",
    "select sum(case when array_has_all(range(0,value+1000000),range(0,value+1000000)) then 1 else 0 end) from generate_series(1,4)",
    "select cardinality(array_except(range(0,n+500000),range(0,n+500000))) from me.p.t",
    "select count(*) from generate_series(1,10000) where regexp_like('aaaa', concat('(a{0,300}){0,60}', value))",
    "select count(*) from generate_series(1,10000) where 'aaaa' ~ concat('(a{0,300}){0,60}', value)",
    "select count(*) from me.p.t where repeat(s, 1000000) similar to '([r ]{0,300}){0,9}x'",
    "select count(*) from me.p.t where repeat(s, 1000000) like '%r____________________________x'",
    "select icontains(repeat('a', 1000000), repeat('a', 500000))",
    "select arrow_cast(null, 'FixedSizeList(2000000000, Int8)') from me.p.t",
    "show all",
    "select * from information_schema.df_settings",
];

const WORDS: &[&str] = &[
    "select",
    "*",
    "from",
    "me.p.t",
    "where",
    "n",
    "s",
    "=",
    "(",
    ")",
    ",",
    "'",
    "\"",
    "1",
    "null",
    "case",
    "end",
    "over",
    "partition by",
    "union",
    "with",
    "recursive",
    "as",
    "||",
    "::",
    "[",
    "]",
    "{",
    "}",
    "->",
    "interval",
    "'1'",
    "cast",
    "not",
    "in",
    "like",
    "exists",
    "--",
    "/*",
    ";",
    "\0",
    "\u{202e}",
    "9223372036854775808",
    "group by",
    "rollup",
    "cube",
    "order by",
    "limit",
    "-1",
    "lateral",
    "unnest",
    "tablesample",
    "pivot",
    "match_recognize",
    "$1",
    "?",
    "@x",
    "e'\\x'",
];

fn each(n: usize, between: &str, part: impl Fn(usize) -> String) -> String {
    (0..n).map(part).collect::<Vec<_>>().join(between)
}

/// Chooses a query.
pub(crate) fn query(random: &mut Generator) -> String {
    match random.below(10) {
        0..4 => {
            let (_, shape) = SHAPES[random.below(SHAPES.len() as u64) as usize];
            shape([60, 200, 500, 2_000, 20_000][random.below(5) as usize])
        }
        4..6 => {
            let (_, shape) = DOUBLING[random.below(DOUBLING.len() as u64) as usize];
            shape([5, 12, 20, 40][random.below(4) as usize])
        }
        6..9 => LARGE[random.below(LARGE.len() as u64) as usize].to_owned(),
        _ => {
            let words =
                (0..random.below(60)).map(|_| WORDS[random.below(WORDS.len() as u64) as usize]);
            words.collect::<Vec<_>>().join(" ")
        }
    }
}

/// Chooses an expression over one row.
pub(crate) fn expression(random: &mut Generator) -> String {
    let n = [10, 60, 400, 2_000, 8_000][random.below(5) as usize];
    match random.below(8) {
        0 => vec!["1"; n].join("+"),
        1 => format!("{}1{}", "(".repeat(n), ")".repeat(n)),
        2 => "case when 1=1 then ".repeat(n) + "1" + &" end".repeat(n),
        3 => vec!["'a'"; n].join("||"),
        4 => format!("1{}", "::int".repeat(n)),
        5 => "repeat(\"s\", 100000000)".to_owned(),
        6 => each(n, " or ", |i| format!("\"n\" = {i}")),
        _ => "\"s\"->".repeat(n) + "'a'",
    }
}
