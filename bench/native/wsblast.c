// Building (Linux; needs zlib's header, Debian: zlib1g-dev; for TLS also OpenSSL's, Debian: libssl-dev):
//   cc -O2 -o wsblast wsblast.c -lz
//   cc -O2 -DTLS -o wsblast wsblast.c -lz -lssl -lcrypto
// `go run ./bench/compare` builds and runs it by itself, with TLS where a cell wants it.
//
// wsblast: closed-loop WebSocket (or raw TCP) echo load generator.
// usage: wsblast host port conns payload depth seconds [mode] [server_pid]
//   mode: ws (default) | raw (plus the bytes of a client's frame header) | deflate (context takeover allowed) | deflate-nct (no takeover either side)
//   tls (echo over wss, TLS 1.3 with TLS_AES_128_GCM_SHA256 alone, so that all servers seal alike; build with -DTLS ... -lssl -lcrypto)
// build: cc -O2 -o wsblast wsblast.c -lz
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#ifdef TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

#ifdef TLS
static SSL_CTX*ctx;
#define XREAD(c,b,n) (ctx?tread(c,b,n):read((c)->fd,b,n))
#define XWRITE(c,b,n) (ctx?twrite(c,b,n):write((c)->fd,b,n))
#define TLSF SSL*ssl;
#else
#define XREAD(c,b,n) read((c)->fd,b,n)
#define XWRITE(c,b,n) write((c)->fd,b,n)
#define TLSF
#endif
typedef struct { TLSF int fd; uint64_t need; uint8_t hdr[16]; int hlen; size_t woff; int inflight; uint64_t t0; int pend; } conn_t;
#ifdef TLS
static ssize_t tr(conn_t*c,int r){ if(r>0) return r; int e=SSL_get_error(c->ssl,r); if(e==SSL_ERROR_WANT_READ||e==SSL_ERROR_WANT_WRITE){ errno=EAGAIN; return -1; } if(e==SSL_ERROR_ZERO_RETURN) return 0; errno=EIO; return -1; }
static ssize_t tread(conn_t*c,void*b,size_t n){ ERR_clear_error(); return tr(c,SSL_read(c->ssl,b,n)); }
static ssize_t twrite(conn_t*c,const void*b,size_t n){ ERR_clear_error(); return tr(c,SSL_write(c->ssl,b,n)); }
#endif
static uint8_t *req; static size_t reqlen; static size_t resp_raw;
static int depth; static int raw;
static uint64_t nmsg; static uint64_t hist[64*16*2];
static uint64_t now_ns(void){ struct timespec t; clock_gettime(CLOCK_MONOTONIC,&t); return t.tv_sec*1000000000ull+t.tv_nsec; }
static int hidx(uint64_t v){ if(v<16) return v; int e=63-__builtin_clzll(v); return (e-3)*16+((v>>(e-4))&15); }
static uint64_t hval(int i){ if(i<16) return i; int e=i/16+3; return (1ull<<e)+((uint64_t)(i%16)<<(e-4)); }
static uint64_t pct(double p){ uint64_t tot=0; for(int i=0;i<2048;i++) tot+=hist[i]; uint64_t c=0; for(int i=0;i<2048;i++){ c+=hist[i]; if(c>=p*tot) return hval(i);} return 0; }
static double proc_cpu(int pid){ char p[64]; snprintf(p,64,"/proc/%d/stat",pid); FILE*f=fopen(p,"r"); if(!f) return 0; char b[4096]; size_t n=fread(b,1,4095,f); b[n]=0; fclose(f); char*q=strrchr(b,')'); unsigned long u,s; sscanf(q+2,"%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",&u,&s); return (double)(u+s)/sysconf(_SC_CLK_TCK); }
static long proc_rss(int pid){ char p[64]; snprintf(p,64,"/proc/%d/statm",pid); FILE*f=fopen(p,"r"); if(!f) return 0; long a=0,b=0; fscanf(f,"%ld %ld",&a,&b); fclose(f); return b*4; }
static size_t outlen; static uint8_t*outbuf;
static void kick(conn_t*c){ // send `depth` messages
  c->t0=now_ns(); c->inflight=depth; c->woff=0; 
  while(c->woff<outlen){ ssize_t n=XWRITE(c,outbuf+c->woff,outlen-c->woff); if(n<0){ if(errno==EAGAIN) return; perror("write"); exit(1);} c->woff+=n; }
}
static void flushw(conn_t*c){ while(c->woff<outlen){ ssize_t n=XWRITE(c,outbuf+c->woff,outlen-c->woff); if(n<0){ if(errno==EAGAIN) return; perror("write"); exit(1);} c->woff+=n; } }
int main(int ac,char**av){
  if(ac<7){ fprintf(stderr,"usage\n"); return 2; }
  const char*host=av[1]; int port=atoi(av[2]); int nc=atoi(av[3]); size_t pl=atol(av[4]); depth=atoi(av[5]); double secs=atof(av[6]);
  const char*mode=ac>7?av[7]:"ws"; int pid=ac>8?atoi(av[8]):0; raw=!strcmp(mode,"raw"); int defl=!strncmp(mode,"deflate",7), nct=!strcmp(mode,"deflate-nct");
  // build frame
  uint8_t mask[4]={0x37,0xfa,0x21,0x3d}; size_t wl=pl; uint8_t*src=malloc(pl+16); for(size_t i=0;i<pl+15;i++) src[i]='a'+i%26;
  if(defl){ size_t n=0; unsigned sd=12345; while(n<pl){ char t[160]; int k=snprintf(t,160,"{\"id\":%u,\"user\":\"u%u\",\"price\":%u.%02u,\"side\":\"%s\",\"ts\":17%08u},",(sd=sd*1103515245+12345)>>12,sd%997,sd%5000,sd%100,sd&4096?"buy":"sell",sd%100000000); if(n+k>pl) k=pl-n; memcpy(src+n,t,k); n+=k; }
    z_stream z={0}; deflateInit2(&z,6,Z_DEFLATED,-15,8,0); uint8_t*o=malloc(pl+1024); z.next_in=src; z.avail_in=pl; z.next_out=o; z.avail_out=pl+1024; deflate(&z,Z_SYNC_FLUSH); wl=z.total_out-4; src=o; fprintf(stderr,"compressed %zu -> %zu\n",pl,wl); }
  if(raw) wl=pl+=pl<126?6:pl<65536?8:14; size_t upl=pl; pl=wl; req=malloc(pl+16); size_t h=0;
  if(!raw){ req[h++]=defl?0xC1:0x82; if(pl<126) req[h++]=0x80|pl; else if(pl<65536){ req[h++]=0x80|126; req[h++]=pl>>8; req[h++]=pl; } else { req[h++]=0x80|127; for(int i=7;i>=0;i--) req[h++]=(uint64_t)pl>>(8*i);} memcpy(req+h,mask,4); h+=4; }
  for(size_t i=0;i<pl;i++) req[h+i]= src[i] ^ (raw?0:mask[i&3]); reqlen=h+pl;
  outlen=reqlen*depth; outbuf=malloc(outlen); for(int i=0;i<depth;i++) memcpy(outbuf+i*reqlen,req,reqlen);
  int ep=epoll_create1(0); conn_t*cs=calloc(nc,sizeof*cs);
  for(int i=0;i<nc;i++){ int fd=socket(AF_INET,SOCK_STREAM,0); struct sockaddr_in src={.sin_family=AF_INET}; 
    if(nc>20000){ char s[32]; snprintf(s,32,"127.0.%d.%d",1+(i/20000)/250,1+(i/20000)%250); inet_pton(AF_INET,s,&src.sin_addr); int one=1; setsockopt(fd,IPPROTO_IP,24,&one,4); bind(fd,(void*)&src,sizeof src);} 
    struct sockaddr_in a={.sin_family=AF_INET,.sin_port=htons(port)}; inet_pton(AF_INET,host,&a.sin_addr); if(connect(fd,(void*)&a,sizeof a)){ perror("connect"); return 1; } int one=1; setsockopt(fd,IPPROTO_TCP,TCP_NODELAY,&one,4);
    #ifdef TLS
    if(!strcmp(mode,"tls")){ if(!ctx){ ctx=SSL_CTX_new(TLS_client_method()); if(!SSL_CTX_set_min_proto_version(ctx,TLS1_3_VERSION)||!SSL_CTX_set_ciphersuites(ctx,"TLS_AES_128_GCM_SHA256")) return 1; SSL_CTX_set_read_ahead(ctx,1); SSL_CTX_set_mode(ctx,SSL_MODE_ENABLE_PARTIAL_WRITE|SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER); } cs[i].ssl=SSL_new(ctx); SSL_set_fd(cs[i].ssl,fd); if(SSL_connect(cs[i].ssl)!=1){ fprintf(stderr,"tls handshake failed\n"); return 1; } }
#endif
    cs[i].fd=fd;
    if(!raw){ char b[2048]; int n=snprintf(b,sizeof b,"GET /ws HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",host,port,!defl?"":nct?"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n":"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"); if(XWRITE((&cs[i]),b,n)!=n){perror("hs");return 1;} int got=0; while(1){ n=XREAD((&cs[i]),b+got,sizeof b-1-got); if(n<=0){ fprintf(stderr,"handshake failed\n"); return 1;} got+=n; b[got]=0; if(strstr(b,"\r\n\r\n")) break; } if(strncmp(b,"HTTP/1.1 101",12)){ fprintf(stderr,"handshake: %s\n",b); return 1; } if(defl&&!strcasestr(b,"permessage-deflate")){ fprintf(stderr,"deflate declined\n"); return 1; } if(i==0&&defl){ char*x=strcasestr(b,"sec-websocket-extensions"); char*e=x?strstr(x,"\r\n"):0; if(e) fprintf(stderr,"%.*s\n",(int)(e-x),x); } }
    fcntl(fd,F_SETFL,O_NONBLOCK); cs[i].fd=fd; struct epoll_event ev={.events=EPOLLIN|EPOLLOUT|EPOLLET,.data.ptr=&cs[i]}; epoll_ctl(ep,EPOLL_CTL_ADD,fd,&ev); }
  long rss_idle= pid?proc_rss(pid):0;
  size_t bufsz=1<<18; uint8_t*buf=malloc(bufsz); struct epoll_event evs[1024];
  uint64_t tstart=now_ns(), tw=tstart+ (uint64_t)(secs*0.2*1e9), tend=tw+(uint64_t)(secs*1e9); int warm=1; uint64_t m0=0; double cpu0=0; struct rusage ru0={0},ru1; 
  for(int i=0;i<nc;i++){ cs[i].need=raw?(uint64_t)pl*depth:0; kick(&cs[i]); }
  uint64_t tnow; uint64_t ts=0;
  while((tnow=now_ns())<tend){ if(warm&&tnow>=tw){ warm=0; m0=nmsg; memset(hist,0,sizeof hist); if(pid) cpu0=proc_cpu(pid); getrusage(RUSAGE_SELF,&ru0); ts=tnow; }
    int n=epoll_wait(ep,evs,1024,100); for(int k=0;k<n;k++){ conn_t*c=evs[k].data.ptr; if(evs[k].events&EPOLLOUT) flushw(c); if(!(evs[k].events&EPOLLIN)) continue; 
      for(;;){ ssize_t r=XREAD(c,buf,bufsz); if(r<0){ if(errno==EAGAIN) break; perror("read"); return 1;} if(r==0){ fprintf(stderr,"server closed\n"); return 1; }
        int done=0; if(raw){ c->need-=r; if(c->need==0) done=1; }
        else { uint8_t*p=buf,*e=buf+r; while(p<e){ if(c->need){ size_t t=e-p; if(t>c->need) t=c->need; p+=t; c->need-=t; if(!c->need){ nmsg++; if(--c->inflight==0) done=1; } continue; }
            c->hdr[c->hlen++]=*p++; int want=2; if(c->hlen>=2){ int l=c->hdr[1]&127; want=l==126?4:l==127?10:2; } if(c->hlen>=2&&c->hlen==want){ if((c->hdr[0]&15)==8){ fprintf(stderr,"server close frame\n"); return 1;} uint64_t L=c->hdr[1]&127; if(L==126) L=c->hdr[2]<<8|c->hdr[3]; else if(L==127){ L=0; for(int q=2;q<10;q++) L=L<<8|c->hdr[q]; } c->need=L; c->hlen=0; if(!defl&&L!=pl){ fprintf(stderr,"bad echo length %lu\n",L); return 1; } if(!L){ nmsg++; if(--c->inflight==0) done=1; } } } }
        if(done){ hist[hidx(now_ns()-c->t0)]++; if(raw){ nmsg+=depth; c->need=(uint64_t)pl*depth; } kick(c); }
        if((size_t)r<bufsz
#ifdef TLS
        && (!ctx||done) // what is done has nothing more to come; else OpenSSL may hold a record
#endif
        ) break; } } }
  double el=(now_ns()-ts)/1e9; uint64_t m=nmsg-m0; double cpu=pid?proc_cpu(pid)-cpu0:0; getrusage(RUSAGE_SELF,&ru1);
  double cc=(ru1.ru_utime.tv_sec-ru0.ru_utime.tv_sec)+(ru1.ru_stime.tv_sec-ru0.ru_stime.tv_sec)+((ru1.ru_utime.tv_usec-ru0.ru_utime.tv_usec)+(ru1.ru_stime.tv_usec-ru0.ru_stime.tv_usec))/1e6;
  printf("msgs/s %.0f MB/s %.1f srv_cpu_us/msg %.3f srv_cpu %.0f%% cli_cpu %.0f%% p50_us %.1f p99_us %.1f p999_us %.1f rss_idle_kb %ld rss_kb %ld\n", m/el, m/el*upl/1e6, m?cpu*1e6/m:0, 100*cpu/el, 100*cc/el, pct(.5)/1e3,pct(.99)/1e3,pct(.999)/1e3, rss_idle, pid?proc_rss(pid):0);
  return 0; }
