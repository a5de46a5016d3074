/** The page's style: system fonts, colours with enough contrast in light and dark mode, tables that become cards on phones. */
export const style = `
:root{--paper:#f4f5f7;--card:#fff;--ink:#15181e;--soft:#545d6b;--line:#dfe3e8;--good:#0b7a3e;--good-bg:#e2f5ea;--bad:#c21a23;--bad-bg:#fde8e8;--odd:#8a5300;--odd-bg:#fdf0d6;--idle:#59626f;--idle-bg:#eceff3;--link:#0b57b8;--code:#f0f2f5;--cache:#7c8797;--track:#e4e8ed;--check:#15181e}
@media (prefers-color-scheme:dark){:root{--paper:#101318;--card:#191d24;--ink:#e8eaed;--soft:#a3acba;--line:#2c323c;--good:#55d48b;--good-bg:#12301f;--bad:#ff7b7b;--bad-bg:#3b1719;--odd:#f3b655;--odd-bg:#37290d;--idle:#a3acba;--idle-bg:#262c35;--link:#7db5ff;--code:#232932;--cache:#6f7b8c;--track:#2a313b;--check:#e8eaed}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
.page-header,nav,main,footer{max-width:1120px;margin:0 auto;padding:0 20px}
code,pre{font:.86em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
code{background:var(--code);border-radius:4px;padding:.1em .35em;overflow-wrap:anywhere}
a{color:var(--link)}
a:focus-visible,summary:focus-visible,pre:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.page-header{padding-top:28px;padding-bottom:8px}
.flag{height:16px;margin-bottom:22px;border-radius:3px;background:conic-gradient(var(--check) 25%,transparent 0 50%,var(--check) 0 75%,transparent 0) 0 0/16px 16px;opacity:.9;-webkit-mask:linear-gradient(90deg,#000,transparent 70%);mask:linear-gradient(90deg,#000,transparent 70%)}
.name{margin:0;color:var(--soft);font-size:.8rem;font-weight:600;letter-spacing:.12em;text-transform:uppercase}
h1{display:flex;align-items:center;gap:.35em;margin:.1em 0;font-size:clamp(2.2rem,7vw,3.4rem);line-height:1.1;letter-spacing:-.025em}
h1 .sign{display:inline-grid;place-items:center;flex:none;width:1.05em;height:1.05em;border-radius:50%;font-size:.8em;color:var(--card)}
.page-header.good h1{color:var(--good)}.page-header.good h1 .sign{background:var(--good)}
.page-header.bad h1{color:var(--bad)}.page-header.bad h1 .sign{background:var(--bad)}
.page-header.odd h1{color:var(--odd)}.page-header.odd h1 .sign{background:var(--odd)}
.page-header.idle h1{color:var(--idle)}.page-header.idle h1 .sign{background:var(--idle)}
.conclusion{margin:.5em 0 .3em;max-width:80ch;font-size:1.1rem;overflow-wrap:anywhere}
.about{margin:.2em 0;color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:22px 0 8px}
.tile{background:var(--card);border:1px solid var(--line);border-top:3px solid var(--idle);border-radius:8px;padding:12px 14px}
.tile.good{border-top-color:var(--good)}.tile.bad{border-top-color:var(--bad)}.tile.odd{border-top-color:var(--odd)}
.tile dt{color:var(--soft);font-size:.82rem}
.tile dd{margin:0}.tile strong{display:block;font-size:1.45rem;line-height:1.3;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
.tile.bad strong{color:var(--bad)}.tile.odd strong{color:var(--odd)}
.tile dd span{color:var(--soft);font-size:.82rem;overflow-wrap:anywhere}
nav{position:sticky;top:0;z-index:1;background:var(--paper);border-bottom:1px solid var(--line)}
nav ul{display:flex;gap:2px;margin:0 -10px;padding:0;list-style:none;overflow-x:auto}
nav a{display:block;padding:11px 10px;color:var(--soft);font-size:.9rem;text-decoration:none;white-space:nowrap}
nav a:hover{color:var(--ink);text-decoration:underline;text-underline-offset:4px}
section{padding-top:30px;scroll-margin-top:34px}
h2{margin:0 0 12px;font-size:1.35rem;letter-spacing:-.01em}
h3{margin:0;font-size:1.05rem}
h4{margin:0;font-size:1rem;overflow-wrap:anywhere}
.badge{display:inline-flex;align-items:center;gap:.4em;border-radius:99px;padding:.1em .7em .1em .45em;font-size:.82rem;font-weight:600;white-space:nowrap}
.badge .sign{font-weight:800;width:1.1em;text-align:center}
.badge.good{color:var(--good);background:var(--good-bg)}.badge.bad{color:var(--bad);background:var(--bad-bg)}
.badge.odd{color:var(--odd);background:var(--odd-bg)}.badge.idle{color:var(--idle);background:var(--idle-bg)}
.wide{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px}
.wide+.wide,.wide+ul,details+details,.wide+details{margin-top:12px}
table{width:100%;border-collapse:collapse;font-size:.92rem}
caption{padding:10px 14px 4px;color:var(--soft);font-size:.85rem;text-align:left}
th,td{padding:8px 14px;border-top:1px solid var(--line);text-align:left;vertical-align:top}
thead th{border-top:0;color:var(--soft);font-size:.78rem;font-weight:600}
tbody th{font-weight:600;white-space:nowrap}
th small{display:block;color:var(--soft);font-weight:400}
th.long{white-space:normal;overflow-wrap:anywhere;min-width:16em;font-weight:500}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.detail{width:100%}td.command{min-width:12em}.word{white-space:nowrap}
.detail span{display:block;overflow-wrap:anywhere}.detail .on,.on{color:var(--soft);font-size:.86rem}
.detail .retry{color:var(--odd);font-size:.86rem}
.cached{display:table;margin:2px 0 0 auto;border:1px dashed var(--cache);border-radius:4px;padding:0 .4em;color:var(--soft);font-size:.78rem}
.failure{margin-bottom:16px;background:var(--card);border:1px solid var(--line);border-left:4px solid var(--bad);border-radius:8px;padding:16px 18px;scroll-margin-top:56px}
.failure.odd{border-left-color:var(--odd)}
.failure h3{display:flex;flex-wrap:wrap;align-items:center;gap:8px}
.failure p{margin:.35em 0}
.again{font-size:.9rem}
.case{margin-top:14px;border-top:1px solid var(--line);padding-top:14px}
.place{color:var(--soft);font-size:.86rem}
pre{margin:8px 0 4px;max-height:34em;overflow:auto;background:var(--code);border-radius:6px;padding:10px 12px;white-space:pre-wrap;overflow-wrap:anywhere;tab-size:4}
.expected{color:var(--good)}.received{color:var(--bad)}
details{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:0 14px}
.case details,.failure>details{border:0;padding:0;background:none}.case summary{padding:3px 0}
summary{cursor:pointer;width:fit-content;padding:9px 0;color:var(--link);font-size:.92rem}
details .wide{margin-bottom:12px}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:12px;margin-top:10px}
figure{margin:0}
figure img{display:block;width:100%;aspect-ratio:16/10;object-fit:contain;background:var(--code);border:1px solid var(--line);border-radius:6px}
figcaption{color:var(--soft);font-size:.82rem;overflow-wrap:anywhere}
.problems{margin:0;background:var(--odd-bg);border-radius:8px;padding:12px 14px 12px 32px}
.note{margin:12px 0;border-radius:8px;padding:12px 16px;background:var(--idle-bg)}
.note.odd{background:var(--odd-bg)}.note ul{margin:.4em 0 0;padding-left:1.2em}
.timeline{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px}
.timeline ol{margin:0;padding:0;list-style:none}
.timeline li,.axis{display:grid;grid-template-columns:minmax(9em,17em) 1fr 10em;gap:12px;align-items:center;font-size:.86rem}
.label{overflow-wrap:anywhere}
.bar svg{display:block;width:100%;height:24px}
.time{color:var(--soft);font-variant-numeric:tabular-nums}
.tick{stroke:var(--line);stroke-width:1;vector-effect:non-scaling-stroke}
svg .good{fill:var(--good)}svg .bad{fill:var(--bad)}svg .odd{fill:var(--odd)}svg .idle,svg .plain{fill:var(--cache)}svg .cache{fill:var(--cache);opacity:.75}
.ticks{position:relative;height:1.4em;color:var(--soft);font-size:.78rem}
.ticks i{position:absolute;font-style:normal;white-space:nowrap;transform:translateX(-50%)}.ticks i:first-child{transform:none}
.legend{display:flex;flex-wrap:wrap;gap:6px 18px;margin:10px 0 0;color:var(--soft);font-size:.82rem}
.key::before{content:"";display:inline-block;width:.8em;height:.8em;margin-right:.45em;border-radius:2px;vertical-align:-.05em;background:var(--cache)}
.key.good::before{background:var(--good)}.key.bad::before{background:var(--bad)}.key.odd::before{background:var(--odd)}
td.meter,th.meter{width:22%;min-width:90px}
.share-bar{display:block;width:100%;min-width:90px;height:8px;margin-top:6px}
.track{fill:var(--track)}
.goal{stroke:var(--ink);stroke-width:2;vector-effect:non-scaling-stroke}
.share{display:block;font-variant-numeric:tabular-nums;white-space:nowrap}.share small{color:var(--soft)}.short{color:var(--bad)}
.missed{min-width:14em;color:var(--soft);font-size:.86rem}
.count{display:inline-block;min-width:1.7em;border-radius:4px;padding:0 .45em;font-size:.82rem;font-weight:600;text-align:center;background:var(--idle-bg);color:var(--idle)}
.count.critical,.count.high{background:var(--bad-bg);color:var(--bad)}.count.medium{background:var(--odd-bg);color:var(--odd)}
.zero{color:var(--soft)}
.alerts{padding:0;list-style:none;background:var(--card);border:1px solid var(--line);border-radius:8px}
.alerts li{padding:9px 14px;border-top:1px solid var(--line);overflow-wrap:anywhere}.alerts li:first-child{border-top:0}
.alerts .place{display:block}
.named{margin:0 0 10px;padding-left:1.2em;font-size:.9rem;overflow-wrap:anywhere}
.files{columns:2 22em;margin:0;padding:0;list-style:none;font-size:.92rem}
.files li{break-inside:avoid;padding:3px 0;overflow-wrap:anywhere}.files span{color:var(--soft);font-size:.82rem}
footer{padding-top:36px;padding-bottom:40px;color:var(--soft);font-size:.86rem}
@media (max-width:680px){
.page-header,nav,main,footer{padding-left:14px;padding-right:14px}
.tiles{grid-template-columns:1fr 1fr}
table.cards thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table.cards,table.cards tbody,table.cards tr,table.cards th,table.cards td,table.cards caption{display:block}
table.cards tr{border-top:1px solid var(--line);padding:10px 14px}
table.cards td[data-label]::before{content:attr(data-label);color:var(--soft);font-size:.82rem}
.share{white-space:normal}
table.cards th,table.cards td{border:0;padding:2px 0;text-align:left}
.cached{display:inline-block;margin:0}
.timeline li{grid-template-columns:1fr auto;gap:0 12px;padding:4px 0}
.timeline .bar{grid-row:2;grid-column:1/-1}.timeline .bar svg{height:18px}
.axis{grid-template-columns:1fr;gap:0}.axis>span:not(.ticks){display:none}
}
@media print{nav{display:none}body{background:#fff}details{break-inside:avoid}}
`
